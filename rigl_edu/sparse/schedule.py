"""How much to rewire, and when: pure functions of the step, so that resuming needs no state."""

from __future__ import annotations

from math import cos, floor, pi


def cosine_fraction(t: int, until: int, fraction: float) -> float:
    """Share of a layer's active weights that is rewired at step t.

        f(t) = fraction / 2 * (1 + cos(pi t / until)),   0 from `until` on

    RigL (Evci et al. 2020), section 3 (2), where `fraction` is alpha and `until` is T_end: rewire
    much while little has been learned, and nothing near the end.
    """
    if t >= until:
        return 0.0
    return fraction / 2 * (1 + cos(pi * t / until))


def drop_count(fraction: float, active: int) -> int:
    """How many weights to drop: k = floor(fraction * active), and never a layer's last.

    RigL's public code rounds down, the reproduction's rounds up; the difference is one weight a
    layer and update. The slack keeps 0.29 * 100 = 28.999999999999996 from becoming 28.
    """
    return floor(fraction * active + 1e-9)


def rewires_at(t: int, every: int, until: int) -> bool:
    """Whether step t (counted from 1) rewires: each `every`-th step before `until`."""
    return t % every == 0 and t < until
