"""Greedy selection in the plane: a target, and a mixture that comes nearer with each unit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...sparse import Selection, centred_gram, greedy_fixed_steps, greedy_line_search
from ..html import Html
from .card import card

# Eight units, each with its response to two inputs. No two are equally far from their mean.
POINTS = (
    (-0.6, -1.4),
    (0.7, -1.7),
    (-1.0, 1.4),
    (-0.1, 1.2),
    (-0.7, 0.6),
    (0.5, -1.8),
    (1.1, -0.8),
    (-0.2, 0.8),
)
ORDER = (2, 6, 0, 7, 4, 1, 3, 5)  # what chance draws


def greedy(points: Sequence[tuple[float, float]] = POINTS, order: Sequence[int] = ORDER) -> Html:
    """Add units one at a time, by line search, in steps of 1/k or at random.

    Args:
        points: at least 4 units, each as its response to two inputs, between -2 and 2.
        order: in which the random rule takes them: each index once.

    Raises:
        ValueError: for too few points, a point off the picture, or an order that leaves one out.
    """
    n = len(points)
    if n < 4 or any(abs(x) > 2 for point in points for x in point):
        raise ValueError("points must be at least 4, with coordinates from -2 to 2")
    if sorted(order) != list(range(n)):
        raise ValueError(f"order is {list(order)}; it must have each of 0 to {n - 1} once")
    responses = torch.tensor(points, dtype=torch.float64)  # (N, 2)
    gram = centred_gram([responses])
    searched = greedy_line_search(gram, n, tolerance=0)[:4]
    fixed = greedy_fixed_steps(gram, 4)
    chance = [_equal(gram, list(order[:k])) for k in range(1, 5)]

    def falls(steps: Sequence[Selection]) -> str:
        return ", ".join(f"{step.discrepancy:.1e}" for step in steps)

    x, y = responses.mean(0).tolist()
    first = int(gram.diagonal().argmin())
    plain = (
        f"Here you would add {n} units one at a time, and see the mixture of the chosen ones come "
        f"nearer to the target ({x:.2f}, {y:.2f}), the mean of all. Line search and 1/k steps both "
        f"start with unit {first}, the nearest. The discrepancy D after 1, 2, 3 and 4 steps: by "
        f"line search {falls(searched)}; in steps of 1/k {falls(fixed)}; with units drawn at "
        f"random {falls(chance)}."
    )
    numbers = {"points": [list(point) for point in points], "order": list(order)}
    return card("greedy", "Greedy selection in the plane", numbers, plain)


def _equal(gram: Tensor, chosen: Sequence[int]) -> Selection:
    a = torch.zeros_like(gram[0])
    a[list(chosen)] = 1 / len(chosen)
    return Selection(a, len(chosen), max(0.0, float(a @ gram @ a)))
