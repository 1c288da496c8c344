"""Chapter 13, what it buys: RigL's cost, density by bisection, cost of a longer training."""

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


# --- 1: the cost of RigL ------------------------------------------------------------------------

rigl_flops = Exercise(
    name="ch13.rigl_flops",
    task="`rigl_flops(f_s, f_d, every)`: RigL's training FLOPs a sample. `every` ordinary steps "
    "cost 3 f_s each, then one rewiring needs the dense gradient of the weights.",
    minutes=5,
    difficulty=1,
    clues=(
        "A step is three passes: forward, gradient of the inputs, gradient of the weights.",
        "When RigL rewires, only the last of the three is dense.",
        "`(3 * f_s * every + 2 * f_s + f_d) / (every + 1)`.",
    ),
    cases=(
        _number(
            "f_s = 10, f_d = 100, every = 4",
            (10, 100, 4),
            sparse.rigl_flops(10, 100, 4),
            {
                "Divide by the number of steps: `every` ordinary ones and a rewiring.": 240,
                "The step that rewires counts too: divide by every + 1.": 60,
                "When rewiring only the gradient of the weights is dense: 2 f_s + f_d.": 84,
                "The step that rewires costs something: 2 f_s + f_d.": 24,
            },
        ),
        _number("a dense network costs 3 f_d", (100, 100, 10), 300, {}),
        _number("every = 1", (10, 100, 1), 75, {}),
    ),
)

# --- 2: a density by bisection ------------------------------------------------------------------


def _solves(name: str, cost: Callable[[float], float], budget: float, hint: str) -> Case:
    """`answer(cost, budget)` must return the density that costs the budget."""

    def test(answer: Answer) -> str:
        calls = 0

        def counted(density: float) -> float:
            nonlocal calls
            calls += 1
            if calls > 500:
                raise RuntimeError("cost was asked more than 500 times: halve the interval")
            if not 0 < density <= 1:
                raise ValueError(
                    f"a density of {density:g} was tried; it must be above 0, at most 1"
                )
            return cost(density)

        found = answer(counted, budget)
        if found is None or found is ...:
            return "It returned nothing."
        if not 0 < float(found) <= 1:
            return f"It returned {float(found):g}, which is no density. Return the density."
        if abs(cost(float(found)) - budget) > 1e-4 * budget:
            return (
                f"At density {float(found):.5f} the cost is {cost(float(found)):.5g}, not "
                f"{budget:g}. {hint}"
            )
        return ""

    return Case(name, test)


density_for = Exercise(
    name="ch13.density_for",
    task="`density_for(cost, budget)`: the density at which `cost(density)` equals `budget`, to "
    "four digits. `cost` rises with the density, and there is one between 0.001 and 1.",
    minutes=10,
    difficulty=2,
    clues=(
        "You know a density that is too low, 0.001, and one that is too high, 1.",
        "Try the middle. Is it too cheap or too dear? Then half of the interval is out.",
        "Forty times: `middle = (low + high) / 2`, then `low = middle` if `cost(middle) < budget` "
        "and else `high = middle`.",
    ),
    cases=(
        _solves("cost in proportion to density", lambda d: 100 * d, 25, "Halve further."),
        _solves(
            "a cost that is no straight line",
            lambda d: 100 * d**0.5,
            20,
            "The cost of ERK masks is not in proportion to their density: scaling does not do, "
            "search.",
        ),
        _solves(
            "a very low density",
            lambda d: 1000 * d + 10,
            13,
            "The interval starts at 0.001; and a fixed grid of densities is too coarse here.",
        ),
        _solves("nearly dense", lambda d: d**3, 0.97, "The interval ends at 1."),
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
