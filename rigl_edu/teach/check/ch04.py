"""Chapter 4, did you really win: the prize, condition 3, the overlap of the largest weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from ... import sparse
from ..layers import six_by_six
from .result import Answer, Case, Exercise

# --- 1: the prize -------------------------------------------------------------------------------

_PRIZES = ("jackpot", "secondary", "none")


def _prize(holds: Sequence[bool]) -> str:
    if not all(holds[:4]):
        return "none"
    return "jackpot" if holds[4] else "secondary"


def _named(name: str, cases: Sequence[Sequence[bool]], hint: str) -> Case:
    """The name of the prize for some outcomes of the five conditions."""

    def test(answer: Answer) -> str:
        for holds in cases:
            given = answer(list(holds))
            if given is None or given is ...:
                return "It returned nothing."
            if given not in _PRIZES:
                return f'It returned {given!r}; return "jackpot", "secondary" or "none".'
            if given != _prize(holds):
                told = ", ".join(str(i) for i, flag in enumerate(holds, 1) if flag) or "none"
                return f'Conditions that hold: {told}. It said "{given}". {hint}'
        return ""

    return Case(name, test)


prize = Exercise(
    name="ch04.prize",
    task="`prize(holds)`: the name of the prize from the five conditions, a list of truth values "
    'with condition 1 first: "jackpot", "secondary" or "none".',
    minutes=5,
    difficulty=1,
    clues=(
        "Which conditions do both prizes need?",
        "Without the first four there is no prize, whatever condition 5 says.",
        '`if not all(holds[:4]): return "none"`, then look at `holds[4]`.',
    ),
    cases=(
        _named("all five", [[True] * 5], "All five make the jackpot."),
        _named(
            "the first four", [[True] * 4 + [False]], "Without condition 5 it is the secondary one."
        ),
        _named(
            "only the fifth fails to be alone",
            [[True, True, True, False, True], [True, True, False, True, True]],
            "Four conditions are not enough: it must be the first four.",
        ),
        _named("condition 1 fails", [[False, True, True, True, True]], "Condition 1 counts too."),
        _named("every outcome", list(product([False, True], repeat=5)), "The first four decide."),
    ),
)

# --- 2: condition 3 -----------------------------------------------------------------------------

_Table = dict[float, list[float]]


def _above(name: str, ticket: _Table, reinit: _Table, tolerance: float, hint: str) -> Case:
    """Condition 3 on one pair of tables; `hint` names the mistake that the case isolates."""
    means = [max(sum(v) / len(v) for v in table.values()) for table in (ticket, reinit)]
    expected = means[0] - means[1] > tolerance

    def test(answer: Answer) -> str:
        copies = [{r: list(v) for r, v in table.items()} for table in (ticket, reinit)]
        given = answer(*copies, tolerance)
        if given is None or given is ...:
            return "It returned nothing."
        if getattr(given, "ndim", None) == 0 and "bool" in str(given.dtype):
            given = bool(given)  # numpy's and torch's
        if not isinstance(given, bool):
            return f"It should return True or False; this is {type(given).__name__}."
        if given == expected:
            return ""
        return (
            f"It said {given}; best means are {means[0]:g} for the ticket and {means[1]:g} for "
            f"re-init, the tolerance is {tolerance:g}. {hint}"
        )

    return Case(name, test)


above_reinit = Exercise(
    name="ch04.above_reinit",
    task="`above_reinit(ticket, reinit, tolerance)`: condition 3, True or False. Is the ticket's "
    "mean over seeds, at some learning rate, more than `tolerance` points above re-init's at any? "
    "Both tables map a learning rate to a list of accuracies.",
    minutes=10,
    difficulty=2,
    clues=(
        "Above re-init at any rate: above which of its means?",
        "At some rate: the ticket may choose its own. It chooses its best.",
        "`max(mean(v) for v in ticket.values()) - max(mean(v) for v in reinit.values()) > "
        "tolerance`",
    ),
    cases=(
        _above(
            "a lead at a small rate only",
            {0.01: [87, 87], 0.1: [90, 90]},
            {0.01: [80, 80], 0.1: [90, 90]},
            0.5,
            "Not at the same rate: the ticket must beat re-init's best too.",
        ),
        _above(
            "the ticket is best at another rate than re-init",
            {0.01: [92, 92], 0.1: [70, 70]},
            {0.01: [80, 80], 0.1: [90, 90]},
            0.5,
            "Some rate is enough for the ticket; it need not win at each.",
        ),
        _above(
            "re-init is best where the ticket is not",
            {0.01: [92, 92], 0.1: [70, 70]},
            {0.01: [80, 80], 0.1: [95, 95]},
            0.5,
            "Compare with re-init's best mean at any rate, not at the ticket's.",
        ),
        _above(
            "one lucky seed",
            {0.1: [95, 85, 90]},
            {0.1: [90, 90, 90]},
            0.5,
            "Compare means over seeds, not the best seed.",
        ),
        _above(
            "the middle seed",
            {0.1: [80, 91, 92]},
            {0.1: [90, 90, 90]},
            0.5,
            "Compare means over seeds, not medians.",
        ),
        _above(
            "a lead within the tolerance",
            {0.1: [90.25, 90.25]},
            {0.1: [90, 90]},
            0.5,
            "Clearly above means by more than the tolerance.",
        ),
        _above(
            "a lead of exactly the tolerance",
            {0.1: [90.5, 90.5]},
            {0.1: [90, 90]},
            0.5,
            "More than the tolerance, not as much as it.",
        ),
    ),
)

# --- 3: the overlap -----------------------------------------------------------------------------


def _overlap(name: str, tensors: tuple[Tensor, Tensor, Tensor], p: float, hints: Any) -> Case:
    """R_p of one pair; `hints` maps what a mistake gives to what it is called."""
    first, second, mask = tensors
    expected = sparse.overlap(first, second, p, mask)

    def test(answer: Answer) -> str:
        given = answer(first.clone(), second.clone(), mask.clone(), p)
        if given is None or given is ...:
            return "It returned nothing."
        try:
            given = float(given)
        except (TypeError, ValueError):
            return f"It should return a number; this is {type(given).__name__}."
        if abs(given - expected) < 1e-6:
            return ""
        for wrong, hint in hints:
            if abs(float(given) - wrong) < 1e-6:
                return str(hint)
        return f"It gave {float(given):.4f}; right is {expected:.4f}."

    return Case(name, test)


def _signs() -> tuple[Tensor, Tensor, Tensor]:
    """The largest of the first is negative."""
    first = torch.tensor([[-9.0, 1.0, 2.0, 3.0]])
    second = torch.tensor([[9.0, 1.0, 2.0, 3.0]])
    return first, second, torch.ones(1, 4, dtype=torch.bool)


def _sparse_pair() -> tuple[Tensor, Tensor, Tensor]:
    """8 of 40 active; the first has its largest numbers off the mask."""
    mask = torch.zeros(40, dtype=torch.bool)
    mask[::5] = True
    first = torch.arange(40.0) / 40 + 5 * ~mask
    second = torch.arange(40.0).flip(0) / 40 + 1
    second[mask] += torch.tensor([0.0, 9, 0, 9, 0, 9, 0, 9])
    return first, second, mask


def _book() -> tuple[Tensor, Tensor, Tensor]:
    layer = six_by_six()
    return layer.random - 0.5, layer.weight, layer.mask


def _of_all(tensors: tuple[Tensor, Tensor, Tensor], p: float) -> float:
    return sparse.overlap(tensors[0], tensors[1], p)


def _share_of_all(tensors: tuple[Tensor, Tensor, Tensor], p: float) -> float:
    """Among the active, but k counted from all positions."""
    first, second, mask = tensors
    return sparse.overlap(first, second, min(1.0, p * mask.numel() / int(mask.sum())), mask)


def _union(tensors: tuple[Tensor, Tensor, Tensor], p: float) -> float:
    k = round(p * int(tensors[2].sum()))
    shared = round(k * sparse.overlap(tensors[0], tensors[1], p, tensors[2]))
    return shared / (2 * k - shared)


def _other_k(tensors: tuple[Tensor, Tensor, Tensor], k: int) -> list[tuple[float, str]]:
    first, second, mask = tensors
    share = sparse.overlap(first, second, k / int(mask.sum()), mask)
    return [(share, f"It took the largest {k}. Round p × active to the nearest whole number.")]


shared_largest = Exercise(
    name="ch04.shared_largest",
    task="`shared_largest(first, second, mask, p)`: R_p. Of the active positions (`mask`, bool) "
    "take the round(p × active) with the largest |w| in each tensor; return the share of them that "
    "both have in common.",
    minutes=10,
    difficulty=2,
    clues=(
        "How many positions is the share p of, all or the active ones?",
        "Give what is off a score of -1 and take `topk(k).indices` of each flattened tensor.",
        "`len(set(a.tolist()) & set(b.tolist())) / k`",
    ),
    cases=(
        _overlap(
            "a large negative weight",
            _signs(),
            0.25,
            [(0.0, "The largest |w|: without the absolute value, -9 is the smallest of all.")],
        ),
        _overlap(
            "large numbers off the mask",
            _sparse_pair(),
            0.5,
            [
                (
                    _of_all(_sparse_pair(), 0.5),
                    "Positions off the mask took part. Give them a score that never wins.",
                ),
                (
                    _share_of_all(_sparse_pair(), 0.5),
                    "p is a share of the active positions: k = round(p × active).",
                ),
                (
                    _union(_sparse_pair(), 0.5),
                    "Divide by k, the number of largest weights, not by the size of the union.",
                ),
                (
                    round(4 * sparse.overlap(*_sparse_pair()[:2], 0.5, _sparse_pair()[2])),
                    "That is how many they share. Divide by k.",
                ),
            ],
        ),
        _overlap("the book's layer", _book(), 0.25, []),
        _overlap("k = round(2.4)", _book(), 0.2, _other_k(_book(), 3)),
        _overlap("k = round(3.6)", _book(), 0.3, _other_k(_book(), 3)),
        _overlap("p = 1", _book(), 1.0, []),
    ),
)
