"""Did the ticket win? Five conditions on a table of accuracies, and what the spread allows to say.

A ticket is a pruned network trained from its own first weights. It is compared with the same mask
on fresh weights (re-init), with the network before pruning (dense), and with a narrow dense one of
as many parameters (small dense), each of them at a grid of learning rates: a ticket that wins only
at a learning rate that suits nobody else has won nothing.

    1  60 % or more of the weights are removed, and training was long enough
    2  the ticket is clearly above small dense, each at its best learning rate
    3  at some learning rate the ticket is clearly above re-init at any
    4  at some learning rate the ticket is similar to dense at that same one
    5  at some learning rate the ticket is similar to dense at any

All five make a jackpot winning ticket, 1 to 4 a secondary prize ticket. Source: Ma et al. 2021. The
spread and `decided` are ours: half a point means nothing where seeds differ by a point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import fmean, variance
from typing import NamedTuple

from .distributions import check_density

Accuracies = Mapping[float, Sequence[float]]  # learning rate -> test accuracies in %, one a seed

REMOVED = 60  # per cent; condition 1 calls it non-trivial sparsity


class Condition(NamedTuple):
    """One of the five: what was compared with what, and how it came out."""

    number: int
    claim: str
    difference: float  # in percentage points, mean over seeds; condition 1: per cent removed
    threshold: float  # 2 and 3 hold above it, 1, 4 and 5 also at it
    error: float | None  # standard error of the difference; None with one seed
    rates: tuple[float, ...]  # the learning rates compared: the ticket's, then the other's
    holds: bool
    decided: bool  # |difference - threshold| > 2 standard errors


class Verdict(NamedTuple):
    """The name of the prize, and how far to trust it. Printing it shows the table."""

    name: str
    decided: bool  # no other name is within two standard errors
    density: float
    conditions: tuple[Condition, ...]

    def __str__(self) -> str:
        state = "decided" if self.decided else "undecided: needs more seeds"
        removed = f"{100 * (1 - self.density):.1f} % removed, {100 * self.density:.1f} % left"
        row = "{:1} {:<30} {:>10} {:>9} {:>5}  {:<13} {:<5} {}"
        names = ("", "condition", "difference", "threshold", "s.e.", "learning rate", "holds")
        lines = [f"{self.name} ({state}); {removed}", "", row.format(*names, "decided")]
        for c in self.conditions:
            error = "?" if c.error is None else f"{c.error:.2f}"
            rates = " / ".join(f"{rate:g}" for rate in c.rates)
            yes = ["yes" if flag else "no" for flag in (c.holds, c.decided)]
            numbers = (f"{c.difference:+.2f}", f"{c.threshold:+.2f}", error)
            lines.append(row.format(c.number, c.claim, *numbers, rates or "-", *yes))
        return "\n".join(lines)


def verdict(
    density: float,
    ticket: Accuracies,
    reinit: Accuracies,
    dense: Accuracies,
    small_dense: Accuracies,
    *,
    tolerance: float,
    enough_epochs: bool,
) -> Verdict:
    """Judge a ticket by the five conditions.

    Differences are between means over seeds. "Some" and "any" are each condition's own, as the
    definition words them: 3 and 5 are tried at the ticket's best learning rate, where they are
    easiest to meet, and 4 at the one where the ticket does best beside dense. (5 implies 4.) So do
    not include a learning rate at which nothing trains: ticket and dense are equal there. A
    ticket better than dense is similar too; on a task where dense is not best, 4 and 5 say little.

    The standard error of a difference is sqrt(s1^2 / n1 + s2^2 / n2), s the standard deviation over
    seeds. It leaves out that the best of several means is likely a lucky one.

    Args:
        density: share of the weights left. Per cent removed are rounded to a whole number for
            condition 1, since exact counts of weights seldom give 60.000.
        ticket: by learning rate, the final accuracies in per cent, one a seed.
        reinit: the same; like the next two at each of the ticket's learning rates at least.
        dense: the same.
        small_dense: the same.
        tolerance: percentage points within which two accuracies are similar, beyond which one is
            clearly above. The paper has 0.5 for CIFAR-10, 1.0 for CIFAR-100 and Tiny-ImageNet, 1.5
            for ImageNet.
        enough_epochs: whether longer training no longer helps; only you can know. A short
            training holds dense back and makes false tickets.

    Raises:
        ValueError: for an impossible density, tolerance or accuracy, or a baseline that was not
            given the ticket's learning rates.
    """
    check_density(density)
    if not 0 <= tolerance < 100:
        raise ValueError(f"tolerance is {tolerance} percentage points; it must be in [0, 100)")
    tables = {"ticket": ticket, "reinit": reinit, "dense": dense, "small_dense": small_dense}
    _check(tables)
    best = {name: max(table, key=lambda r: fmean(table[r])) for name, table in tables.items()}
    here = best["ticket"]
    beside = max(ticket, key=lambda r: fmean(ticket[r]) - fmean(dense[r]))

    def compare(number: int, claim: str, rate: float, name: str, other_rate: float) -> Condition:
        ours, theirs = ticket[rate], tables[name][other_rate]
        # Rounded, so that 88.3 - 87.8 is 0.5 and not a little more or less.
        difference = round(fmean(ours) - fmean(theirs), 9)
        clearly = number in (2, 3)
        threshold = tolerance if clearly else -tolerance
        holds = difference > threshold if clearly else difference >= threshold
        error = _standard_error(ours, theirs)
        decided = error is not None and abs(difference - threshold) > 2 * error
        rates = (rate, other_rate)
        return Condition(number, claim, difference, threshold, error, rates, holds, decided)

    removed = 100 * (1 - density)
    sparse = round(removed) >= REMOVED and enough_epochs
    conditions = (
        Condition(1, "sparse and trained long enough", removed, REMOVED, 0, (), sparse, True),
        compare(2, "above small dense", here, "small_dense", best["small_dense"]),
        compare(3, "above re-init at any rate", here, "reinit", best["reinit"]),
        compare(4, "similar to dense, same rate", beside, "dense", beside),
        compare(5, "similar to dense, any rate", here, "dense", best["dense"]),
    )
    if not all(c.holds for c in conditions[:4]):
        name = "no winning ticket"
    else:
        name = "jackpot winning ticket" if conditions[4].holds else "secondary prize ticket"
    # One sure failure among the first four is enough to say no.
    failed = any(c.decided and not c.holds for c in conditions[:4])
    return Verdict(name, failed or all(c.decided for c in conditions), density, conditions)


def _standard_error(first: Sequence[float], second: Sequence[float]) -> float | None:
    if min(len(first), len(second)) < 2:
        return None
    return sqrt(variance(first) / len(first) + variance(second) / len(second))


def _check(tables: Mapping[str, Accuracies]) -> None:
    if not tables["ticket"]:
        raise ValueError("ticket is empty: it needs accuracies at one learning rate or more")
    for name, table in tables.items():
        missing = sorted(set(tables["ticket"]) - set(table))
        if missing:
            raise ValueError(
                f"{name} has no accuracies at the ticket's learning rates {missing}; a baseline "
                "needs at least the ticket's choice of them"
            )
        for rate, values in table.items():
            if len(values) == 0 or not all(0 <= a <= 100 for a in values):
                raise ValueError(
                    f"{name} at learning rate {rate:g} is {list(values)}; give one or more "
                    "accuracies from 0 to 100 per cent"
                )
    highest = max(a for table in tables.values() for values in table.values() for a in values)
    if highest <= 1:
        raise ValueError(f"the highest accuracy is {highest}; give per cent, not fractions")
