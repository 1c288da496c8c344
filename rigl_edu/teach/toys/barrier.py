"""The line between two solutions of a network with two weights: is there a hill on it?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...sparse import copy_state, lii, path
from ..html import Html
from .card import card

Point = tuple[float, float]  # the weights (u, v) of y = v u x

PAIRS: dict[str, tuple[Point, Point]] = {
    "near each other": ((1.25, 0.8), (0.8, 1.25)),
    "far, same signs": ((2.0, 0.5), (0.5, 2.0)),
    "opposite signs": ((1.0, 1.0), (-1.0, -1.0)),
}
POINTS = 20  # steps from one end to the other


def two_weights(point: Point) -> nn.Sequential:
    """The network y = v u x, in float64."""
    u, v = point
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)).double()
    with torch.no_grad():
        for layer, weight in zip(net, (u, v), strict=True):
            layer.get_parameter("weight").fill_(weight)
    return net


@torch.no_grad()
def loss(net: nn.Module) -> float:
    """(1 - u v)^2: the squared error at x = 1, where y should be 1."""
    answer: Tensor = net(torch.ones(1, 1, dtype=torch.float64))
    return (1 - answer.item()) ** 2


def barrier(pair: str = "opposite signs") -> Html:
    """Walk from one solution of y = v u x to another and watch the loss.

    Args:
        pair: the two solutions that the reader sees first.

    Raises:
        ValueError: for a pair that is not among `PAIRS`.
    """
    if pair not in PAIRS:
        raise ValueError(f"pair is {pair!r}; there are {', '.join(PAIRS)}")
    names = [pair, *(name for name in PAIRS if name != pair)]
    found = "; ".join(f"{name}, {_walk(*PAIRS[name])}" for name in names)
    plain = (
        "Here you would choose two solutions of a network with two weights, y = v u x, that should "
        "learn y = x, and walk on the straight line between them. Every solution has u v = 1 and "
        f"loss 0. The barrier is the highest loss on the way: {found}."
    )
    numbers: dict[str, object] = {"pairs": PAIRS, "names": names, "points": POINTS}
    return card("barrier", "The line between two solutions", numbers, plain)


def _walk(first: Point, second: Point) -> str:
    """Where it goes and what it meets, in words."""
    alphas = [i / POINTS for i in range(POINTS + 1)]
    ends = [copy_state(two_weights(point)) for point in (first, second)]
    high = lii(path(two_weights(first), ends[0], ends[1], loss, alphas), alphas)
    start, end = (f"({u:.2f}, {v:.2f})".replace("-", "−") for u, v in (first, second))
    return f"from {start} to {end}: {high:.2f}"
