"""A budget of weights, shared among three layers by their scores, rewiring after rewiring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...sparse import drop_count, share
from ..html import Html
from .card import card

MOST = 2.0  # the sliders' right end


def redistribution(
    layers: Mapping[str, tuple[int, int]], scores: Sequence[float], fraction: float = 0.3
) -> Html:
    """Three or so layers drop a share of their weights, and the sum is given out by score.

    Args:
        layers: by name, how many weights a layer has and how many it could hold.
        scores: the mean |gradient| of each layer, where the sliders start: multiples of 0.1 from
            0 to 2.
        fraction: share of the active weights that each layer drops.

    Raises:
        ValueError: for a score that the sliders do not have, or not one score a layer.
    """
    off = [s for s in scores if not 0 <= s <= MOST or abs(10 * s - round(10 * s)) > 1e-9]
    if off or len(scores) != len(layers):
        raise ValueError(
            f"scores are {list(scores)}; give {len(layers)} of 0, 0.1, 0.2, ... {MOST:g}"
        )
    active = [n for n, _ in layers.values()]
    sizes = [size for _, size in layers.values()]
    drops = [drop_count(fraction, n) for n in active]
    room = [size - n + k for n, size, k in zip(active, sizes, drops, strict=True)]
    given = share(list(scores), sum(drops), room)
    after = [n - k + g for n, k, g in zip(active, drops, given, strict=True)]
    lines = "; ".join(
        f"{name}: {n} of {size} weights, score {score:.1f}, drops {k}, gets {g}, has {now} then"
        for name, n, size, score, k, g, now in zip(
            layers, active, sizes, scores, drops, given, after, strict=True
        )
    )
    plain = (
        "Here you would set the mean |gradient| of each layer, press rewire, and see the budget "
        f"move. At one rewiring each layer drops {fraction:.0%} of its weights, and all of them "
        f"together are shared by score, no layer above its size. {lines}. "
        f"Before {sum(active)} weights, after {sum(after)}."
    )
    numbers = {
        "names": list(layers),
        "active": active,
        "sizes": sizes,
        "scores": list(scores),
        "fraction": fraction,
    }
    return card("redistribution", "Redistribution among three layers", numbers, plain)
