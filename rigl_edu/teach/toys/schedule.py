"""The pace of rewiring: how the fraction falls, how many weights move, how much gets tried."""

from __future__ import annotations

from ...sparse import cosine_fraction, drop_count, rewires_at
from ..html import Html
from .card import card

STEPS = 1000
SLIDERS = {  # slider -> first, last, step, in the unit of the last argument
    "fraction": (0.1, 0.6, 0.1),
    "every": (25, 250, 25),
    "until": (100, STEPS, 50),
}


def schedule(
    active: int = 1000,
    total: int = 10_000,
    fraction: float = 0.3,
    every: int = 50,
    until: int = 750,
) -> Html:
    """The schedule of a training of 1 000 steps, for one layer that grows at random.

    Args:
        active: weights of the layer that exist.
        total: positions it has.
        fraction: alpha, where the reader starts: one of 0.1, 0.2, ... 0.6.
        every: Delta T, one of 25, 50, ... 250.
        until: T_end, one of 100, 150, ... 1000.

    Raises:
        ValueError: for a number that the toy's sliders do not have, or more weights than positions.
    """
    for name, value in (("fraction", fraction), ("every", every), ("until", until)):
        first, last, step = SLIDERS[name]
        notches = (value - first) / step
        if not first <= value <= last or abs(notches - round(notches)) > 1e-9:
            raise ValueError(
                f"{name} is {value}; the slider has {first}, {first + step}, ... {last}"
            )
    if not 1 <= active < total:
        raise ValueError(f"active={active} must be at least 1 and below total={total}")
    at = [t for t in range(1, STEPS + 1) if rewires_at(t, every, until)]
    counts = [drop_count(cosine_fraction(t, until, fraction), active) for t in at]
    plain = (
        f"Here you would set how often, how much and how long a layer is rewired. {active:,} of "
        f"its {total:,} weights are active. At fraction {fraction}, every {every} steps until step "
        f"{until} of {STEPS:,}, a cosine gives {len(at)} rewirings. {_moves(at, counts)}"
        f"Grown at random, {100 * tried(active, total, counts):.1f} % of the positions will have "
        "been tried, on average."
    )
    numbers = {
        "layer": {"active": active, "total": total, "steps": STEPS},
        "start": {"fraction": fraction, "every": every, "until": until},
    }
    return card("schedule", "How often, how much, how long", numbers, plain)


def tried(active: int, total: int, counts: list[int]) -> float:
    """Expected share of positions that exist at least once, if growth is random.

    A position that was never active is empty at every rewiring, and one of `total - active + k`
    among which k are drawn, whatever was dropped.

    Args:
        active: weights at any time.
        total: positions.
        counts: k of each rewiring.
    """
    never = 1 - active / total
    for k in counts:
        never *= 1 - k / (total - active + k)
    return 1 - never


def _moves(at: list[int], counts: list[int]) -> str:
    if not at:
        return ""
    return (
        f"The first, at step {at[0]}, moves {counts[0]} weights, the last, at step {at[-1]}, "
        f"moves {counts[-1]}; together {sum(counts):,}. "
    )
