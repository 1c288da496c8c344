"""Chapter 13, what it buys: RigL's cost, a width by bisection, cost of a longer training."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ... import sparse
from .result import Answer, Case, Exercise


def _number(
    name: str, given: tuple[float, ...], expected: float, mistakes: Mapping[str, float]
) -> Case:
    """One number to compute; `mistakes` maps a hint to what that mistake gives here."""

    def test(answer: Answer) -> str:
        result = answer(*given)
        if result is None or result is ...:
            return "It returned nothing."
        value = float(result)
        if abs(value - expected) <= 1e-6 * max(1.0, abs(expected)):
            return ""
        for hint, wrong in mistakes.items():
            if abs(value - wrong) <= 1e-6 * max(1.0, abs(wrong)):
                return hint
        return f"It gave {value:g}; right is {expected:g}."

    return Case(name, test)


# --- 1: the cost of RigL as it runs -------------------------------------------------------------


def _run(name: str, f_s: float, f_d: float, steps: int, every: int, until: int) -> Case:
    """A whole training: the mean over its steps."""

    def mean(rewirings: float, each: float = 2 * f_s + f_d, length: int = steps) -> float:
        return (3 * f_s * (steps - rewirings) + each * rewirings) / length

    rewirings = sum(sparse.rewires_at(t, every, until) for t in range(1, steps + 1))
    on_top = (3 * f_s * steps + (2 * f_s + f_d) * rewirings) / steps
    mistakes = {
        "That is the page's formula: it rewires to the end, every + 1 steps apart. Count the steps "
        "that rewire.": sparse.rigl_flops(f_s, f_d, every),
        "A rewiring takes the place of an ordinary step; it does not come on top.": on_top,
        "It goes on after `until`: from that step on the masks stay.": mean(steps // every),
        "Step `until` itself does not rewire: t < until.": mean(min(steps, until) // every),
        "Steps are counted from 1; there is no rewiring at step 0.": mean(
            sum(t % every == 0 and t < until for t in range(steps))
        ),
        "Training may end before `until`: count the steps that are taken.": mean(
            (until - 1) // every
        ),
        "When RigL rewires, only the gradient of the weights is dense: 2 f_s + f_d.": mean(
            rewirings, 3 * f_d
        ),
        "The step that rewires costs something: 2 f_s + f_d.": mean(rewirings, 0),
        "That is the whole training. Divide by the number of steps.": mean(rewirings, length=1),
        "That is without rewirings.": 3 * f_s,
    }
    right = mean(rewirings)
    mistakes = {hint: wrong for hint, wrong in mistakes.items() if wrong != right}
    return _number(name, (f_s, f_d, steps, every, until), right, mistakes)


flops_as_run = Exercise(
    name="ch13.flops_as_run",
    task="`flops_as_run(f_s, f_d, steps, every, until)`: RigL's training FLOPs a sample, the mean "
    "over steps 1 to `steps`. A step t rewires if `every` divides it and t < until. It takes the "
    "place of an ordinary step, and its gradient of the weights is dense.",
    minutes=10,
    difficulty=1,
    clues=(
        "A step is three passes: forward, gradient of the inputs, gradient of the weights. How "
        "many of the steps have a dense one?",
        "An ordinary step costs 3 f_s, one that rewires 2 f_s + f_d. That is f_d - f_s more.",
        "`3 * f_s + (f_d - f_s) * rewirings / steps`, with chapter 9's count: how many t of 1 to "
        "steps have t % every == 0 and t < until.",
    ),
    cases=(
        _run("10 steps, every 4, until 100", 10, 100, 10, 4, 100),
        _run("it stops at step 50", 10, 100, 100, 10, 50),
        _run("100 steps, until 75", 10, 100, 100, 20, 75),
        _run("a dense network", 100, 100, 100, 10, 75),
        _run("it never rewires", 10, 100, 100, 200, 150),
    ),
)

# --- 2: a width by bisection --------------------------------------------------------------------

_CALLS = 60


def _widest(
    name: str, cost: Callable[[int], float], budget: float, most: int, hints: Mapping[int, str]
) -> Case:
    """The largest width whose cost fits; `hints` maps how far an answer is off to its mistake."""
    right = max((n for n in range(1, most + 1) if cost(n) <= budget), default=0)

    def test(answer: Answer) -> str:
        calls = 0

        def counted(width: int) -> float:
            nonlocal calls
            calls += 1
            if calls > _CALLS:
                raise RuntimeError(f"cost was asked more than {_CALLS} times: halve the interval")
            if width != int(width) or not 1 <= width <= most:
                raise ValueError(f"a width of {width:g} was tried; whole numbers, 1 to {most}")
            return cost(int(width))

        found = answer(counted, budget, most)
        if found is None or found is ...:
            return "It returned nothing."
        width = float(found)
        if width == right:
            return ""
        if width != int(width):
            return f"It returned {width:g}: a number of channels is whole."
        if width == cost(right):
            return "That is the cost. Return the width."
        if int(width) - right in hints:
            return hints[int(width) - right]
        if not 0 <= width <= most:
            return f"It returned {width:g}, which is no width from 0 to {most}."
        if width == 0:
            return f"It returned 0, but a width of {right} fits."
        return (
            f"Width {width:g} costs {cost(int(width)):g} of {budget:g}, and {right} is the largest "
            "that fits."
        )

    return Case(name, test)


_DEAR = "One too many: this width costs more than the budget. Return the last one that fits."
_CHEAP = "One too few: one more channel still fits."

widest = Exercise(
    name="ch13.widest",
    task="`widest(cost, budget, most)`: the largest whole width of 1 to `most` with `cost(width)` "
    "at most `budget`, 0 if none fits. `cost` rises with the width and is slow: ask it "
    f"{_CALLS} times at most.",
    minutes=15,
    difficulty=2,
    clues=(
        "Keep two widths: one that fits and one that does not. 0 fits, and most + 1 stands for "
        "what does not; neither needs to be asked.",
        "Try the whole number in the middle, `(fits + over) // 2`. It takes the place of one of "
        "the two.",
        "Stop when `over - fits` is 1. Then `fits` is the answer.",
    ),
    cases=(
        _widest("a square", lambda n: 3.0 * n * n, 1000, 64, {1: _DEAR, -1: _CHEAP}),  # 18.26
        _widest(
            "a budget that is met exactly",
            lambda n: 3.0 * n * n,
            768,
            64,
            {1: _DEAR, -1: "At most the budget: a width that costs just as much fits."},
        ),
        _widest("all fit", lambda n: float(n), 1000, 64, {1: _DEAR, -1: "`most` itself may fit."}),
        _widest("none fits", lambda n: 10.0 * n, 5, 64, {1: "Not even one channel fits: 0."}),
        _widest(
            "a cost that is no power",
            lambda n: 2.0 * n * n + 500 * n + 9000,
            10_000_000,
            100_000,
            {1: _DEAR, -1: _CHEAP},
        ),
    ),
)

# --- 3: longer training -------------------------------------------------------------------------

break_even = Exercise(
    name="ch13.break_even",
    task="`break_even(cost, other)`: how many times as long may a method train that costs `cost` a "
    "sample, until it has spent what another does once at `other`? A whole number, rounded down.",
    minutes=5,
    difficulty=1,
    clues=(
        "m times as long costs m times as much.",
        "The largest whole m with m × cost ≤ other.",
        "`int(other / cost)`, with a small slack against floats: 0.3 / 0.1 is 2.9999999999999996.",
    ),
    cases=(
        _number(
            "0.1 against 0.35",
            (0.1, 0.35),
            3,
            {
                "Round down: a fourth time would spend more than the other.": 4,
                "A whole number is asked, rounded down.": 3.5,
                "Upside down: divide the other's cost by the method's.": 0,
            },
        ),
        _number("the method is dearer", (0.5, 0.3), 0, {}),
        _number(
            "exactly three times",
            (0.1, 0.3),
            3,
            {"In floats 0.3 / 0.1 is a little below 3: add a slack before rounding down.": 2},
        ),
    ),
)
