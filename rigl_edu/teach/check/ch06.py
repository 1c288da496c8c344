"""Chapter 6, greedy selection: how many steps, the Gram matrix, one line search, a thin layer."""

from __future__ import annotations

from math import log
from typing import Any

import torch
from torch import Tensor

from ... import sparse
from .result import Answer, Case, Exercise


def _random(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def _same(given: Any, right: Any) -> bool:
    given, right = torch.as_tensor(given).double(), torch.as_tensor(right).double()
    return given.shape == right.shape and torch.allclose(given, right, atol=1e-9)


# --- 1: how many steps ---------------------------------------------------------------------------


def _steps(name: str, numbers: tuple[float, float, float], right: int, **hints: Any) -> Case:
    """`hints` maps a name to (a wrong answer, what it means)."""

    def test(answer: Answer) -> str:
        given = answer(*numbers)
        if given is None or given is ...:
            return "It returned nothing."
        if given == right:
            return ""
        for wrong, hint in hints.values():
            if abs(float(given) - wrong) < 1e-6:
                return str(hint)
        return f"It gave {given}; right is {right}."

    return Case(name, test)


steps_needed = Exercise(
    name="ch06.steps_needed",
    task="`steps_needed(first, target, factor)`: D is `first` now and each step multiplies it by "
    "`factor`, below 1. After how many steps is it at most `target`? A whole number.",
    minutes=5,
    difficulty=1,
    clues=(
        "After k steps D is `first * factor ** k`. When is that at most `target`?",
        "Take logarithms: k log(factor) ≤ log(target / first). Dividing by log(factor), which is "
        "negative, turns the sign around.",
        "`ceil(log(target / first) / log(factor))`, and 0 if D is small enough already.",
    ),
    cases=(
        _steps(
            "from 1 to 1/8 by halves",
            (1.0, 0.125, 0.5),
            3,
            negative=(-3, "The number is negative: both logarithms are below 0, divide them."),
            linear=(0.875 / 0.5, "Each step multiplies D, it does not take a fixed amount off."),
            linear_up=(2, "Each step multiplies D, it does not take a fixed amount off."),
            no_base=(-log(0.125), "Divide by log(factor): how often does the factor fit?"),
        ),
        _steps(
            "from 5 to 1 by thirds: not from 1",
            (5.0, 1.0, 1 / 3),
            2,
            forgot=(0, "It forgets where D starts: what counts is target / first."),
            down=(1, "After 1 step D is 1.67, still above 1. Round up."),
            fraction=(log(5) / log(3), "A step is whole: round up."),
        ),
        _steps(
            "the target is reached already",
            (0.5, 1.0, 0.9),
            0,
            negative=(-6, "D is below the target at the start. There is nothing to do: 0 steps."),
            floored=(-7, "D is below the target at the start. There is nothing to do: 0 steps."),
        ),
        _steps(
            "a million times smaller",
            (1.0, 1e-6, 0.9),
            132,
            down=(131, "After 131 steps it is a little too large still. Round up."),
        ),
    ),
)

# --- 2: the Gram matrix --------------------------------------------------------------------------


def _gram(name: str, responses: Tensor) -> Case:
    right = sparse.centred_gram([responses])
    n, features = responses.shape
    by_unit = responses - responses.mean(1, keepdim=True)
    centred = responses - responses.mean(0)
    wrong = (
        (responses @ responses.T / features, "Take the mean response off first: C is centred."),
        (centred @ centred.T, "Divide by F, the number of numbers in a response."),
        (centred @ centred.T / n, "It divides by N, the units. D is a mean over the F numbers."),
        (by_unit @ by_unit.T / features, "It centres each row. The mean is over units: `mean(0)`."),
        (centred.T @ centred / features, "C has a row for each unit: centred times its transpose."),
    )

    def test(answer: Answer) -> str:
        given_responses = responses.clone()
        given = answer(given_responses)
        if given is None or given is ...:
            return "It returned nothing."
        if not given_responses.equal(responses):
            return "It changed the responses in place: `responses - responses.mean(0)` is new."
        if _same(given, right):
            return ""
        for matrix, hint in wrong:
            if _same(given, matrix):
                return hint
        if tuple(getattr(given, "shape", ())) != (n, n):
            return f"C has a number for each pair of units: its shape is ({n}, {n})."
        return "It is another matrix. C_ij is the product of two centred responses, divided by F."

    return Case(name, test)


centred_gram = Exercise(
    name="ch06.centred_gram",
    task="`centred_gram(responses)`: from a matrix with a row of F numbers for each of N units, "
    "the N × N matrix C with D(a) = a'Ca.",
    minutes=10,
    difficulty=2,
    clues=(
        "D(a) is the mean of the squares of sum_i a_i (h_i - h). Write h_i - h first.",
        "The mean response h has F numbers: it is a mean over the rows.",
        "`centred = responses - responses.mean(0)`, then `centred @ centred.T` divided by F.",
    ),
    cases=(
        _gram("4 units, 7 numbers each", _random(4, 7, seed=0) + 3),
        _gram("9 units, 2 numbers each", _random(9, 2, seed=1)),
        _gram("all units respond alike", torch.ones(3, 5, dtype=torch.float64)),
    ),
)

# --- 3: one line search --------------------------------------------------------------------------


def _coefficients(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _right_gamma(gram: Tensor, a: Tensor, i: int) -> tuple[float, float, float]:
    """The lowest point on the line, the interval's lower end, and the answer."""
    q = gram @ a
    d = a @ q
    free = float((d - q[i]) / (gram[i, i] - 2 * q[i] + d))
    lowest = float(-a[i] / (1 - a[i]))
    return free, lowest, min(1.0, max(lowest, free))


def _gamma(name: str, responses: Tensor, a: Tensor, i: int) -> Case:
    gram = sparse.centred_gram([responses])
    free, lowest, right = _right_gamma(gram, a, i)

    def test(answer: Answer) -> str:
        inputs = gram.clone(), a.clone()
        given = answer(*inputs, i)
        if given is None or given is ...:
            return "It returned nothing."
        if not inputs[0].equal(gram) or not inputs[1].equal(a):
            return "It changed its inputs in place."
        if torch.as_tensor(given).numel() != 1:
            return "It should return one number, the gamma."
        value = float(given)
        if abs(value - right) < 1e-6:
            return ""
        if abs(value - free) < 1e-6 and free < lowest:
            return f"Gamma {free:.2f} would make a coefficient negative: -a_i / (1 - a_i) is least."
        if abs(value - free) < 1e-6:
            return f"Gamma {free:.2f} goes past the unit: at 1 nothing else is left. Stop there."
        if abs(value + free) < 1e-6 or abs(value + right) < 1e-6:
            return "The sign is wrong: it walks uphill. The lowest point is at -slope / curvature."
        if abs(value - 2 * free) < 1e-6 or abs(value - free / 2) < 1e-6:
            return "A factor of 2: D + 2 γ s + γ² c is lowest at γ = -s / c."
        if right > 0 and abs(value) < 1e-9:
            return "It stays where it is: the wrong sign walks uphill, and the interval ends at 0."
        if right < 0 and abs(value) < 1e-9:
            return "Gamma may be negative, down to -a_i / (1 - a_i): that takes weight away."
        if right < 0 and abs(value + float(a[i])) < 1e-6:
            return "At -a_i the unit is not gone: (1 - γ) a_i + γ = 0 where γ = -a_i / (1 - a_i)."
        if right < 0 and free < lowest and value > right:
            return "It stops too early on the way down: the lower end is -a_i / (1 - a_i)."
        return f"It gave {value:.4f}; D is lowest at {right:.4f} within the interval."

    return Case(name, test)


_TRIANGLE = _coefficients(0, 0, 4, 0, 0, 4).view(3, 2)  # its mean is (4/3, 4/3)
_TRAP = torch.cat([_TRIANGLE, _coefficients(9, 9).view(1, 2), _coefficients(-9, -9).view(1, 2)])

best_gamma = Exercise(
    name="ch06.best_gamma",
    task="`best_gamma(gram, a, i)`: the γ between -a_i / (1 - a_i) and 1 for which "
    "(1 - γ) a + γ e_i has the lowest D. `gram` is C, and a_i is below 1.",
    minutes=15,
    difficulty=2,
    clues=(
        "With q = C a and D = a'q, D along the line is D + 2γ (q_i - D) + γ² (C_ii - 2 q_i + D).",
        "A parabola 2γ s + γ² c is lowest at γ = -s / c. Then see to the ends of the interval.",
        "`gamma = (d - q[i]) / (gram[i, i] - 2 * q[i] + d)`, then "
        "`gamma.clamp(min=-a[i] / (1 - a[i]), max=1)`.",
    ),
    cases=(
        _gamma("two units of a triangle", _TRIANGLE, _coefficients(1, 0, 0), 1),
        _gamma(
            "a new unit among many",
            _random(6, 5, seed=2),
            _coefficients(0.5, 0.3, 0.2, 0, 0, 0),
            4,
        ),
        _gamma(
            "a unit that has too much",
            _TRIANGLE,
            _coefficients(0.1, 0.5, 0.4),
            1,
        ),
        _gamma("a unit that does harm goes", _TRAP, _coefficients(0.3, 0.3, 0.3, 0.1, 0), 3),
        _gamma(
            "a unit that is better than all the mixture",
            torch.stack([_coefficients(x, 0) for x in (5, 4, 2.5, -5.5)]),
            _coefficients(0.5, 0.5, 0, 0),
            2,
        ),
    ),
)

# --- 4: a thin layer -----------------------------------------------------------------------------


def _thin(name: str, a: Tensor, outputs: int, seed: int) -> Case:
    n = len(a)
    w1, b1 = _random(n, 3, seed=seed), _random(n, seed=seed + 1)
    w2 = _random(outputs, n, seed=seed + 2)
    kept = a > 0
    right = w2[:, kept] * n * a[kept]
    wrong = (
        (w2[:, kept], "The second layer's columns count N a_i times now: they need that factor."),
        (w2[:, kept] * a[kept], "The factor is N a_i: at a_i = 1/N the layer is as it was."),
        (
            w2[:, kept] * int(kept.sum()) * a[kept],
            "The factor has N, the number of units there were, not of those kept.",
        ),
        (w2[:, kept] / (n * a[kept]), "It divides by N a_i; a unit with more weight counts more."),
    )

    def test(answer: Answer) -> str:
        inputs = w1.clone(), b1.clone(), w2.clone(), a.clone()
        given = answer(*inputs)
        if not isinstance(given, (tuple, list)) or len(given) != 3:
            return "It should return three tensors: w1, b1 and w2 of the thin layers."
        for was, now in zip((w1, b1, w2, a), inputs, strict=True):
            if not was.equal(now):
                return "It changed its inputs in place."
        if tuple(given[0].shape) != (int(kept.sum()), 3):
            return f"{int(kept.sum())} units have a_i > 0: w1 keeps their rows."
        if tuple(given[1].shape) != (int(kept.sum()),):
            return "A unit that goes takes its bias along: b1 keeps as many numbers as w1 rows."
        if tuple(given[2].shape) != (outputs, int(kept.sum())):
            return "w2 reads one number a unit: it keeps the columns of those kept, not rows."
        if _same(given[0], w1[kept]) and _same(given[1], b1[kept]) and _same(given[2], right):
            return ""
        for tensor, hint in wrong:
            if _same(given[2], tensor) and _same(given[0], w1[kept]):
                return hint
        if not _same(given[0], w1[kept]) or not _same(given[1], b1[kept]):
            return (
                "w1 and b1 of the units kept stay as they are. The factor belongs behind the "
                "activation, to w2: not every activation lets a factor through."
            )
        return "w1 and b1 are right. Column i of w2 must be multiplied by N a_i."

    return Case(name, test)


thin = Exercise(
    name="ch06.thin",
    task="`thin(w1, b1, w2, a)`: two linear layers with an activation between them, "
    "w2 f(w1 x + b1). Return the smaller w1, b1, w2 that have only the units with a_i > 0, each "
    "counting N a_i times.",
    minutes=10,
    difficulty=2,
    clues=(
        "A unit is a row of w1, a number of b1 and a column of w2.",
        "Where does the factor N a_i go, before the activation or behind it?",
        "`kept = a > 0`, then `w1[kept], b1[kept], w2[:, kept] * len(a) * a[kept]`.",
    ),
    cases=(
        _thin("3 of 5 units", _coefficients(0.5, 0, 0.3, 0, 0.2), 2, 10),
        _thin("equal parts change nothing", _coefficients(0.25, 0.25, 0.25, 0.25), 3, 20),
        _thin("one unit is left", _coefficients(0, 1, 0, 0), 4, 30),
    ),
)
