"""The ticket's verdict over the learning rates of chapter 4's grid, from records alone."""

from collections.abc import Iterable
from typing import Any

from rigl_edu.sparse import Verdict, verdict

from .claims import by_place
from .recipes.ch04 import RATES, ROUNDS
from .recipes.studies import ROUND
from .tables import arithmetic

DENSITY = round(ROUND**ROUNDS, 4)
TOLERANCE = 0.5  # points, of Ma et al. 2021 for CIFAR-10
WAYS = {"iterative": "", "one-shot": "-oneshot"}  # how the mask was found, and the names' ending


def arms(lr: float, way: str) -> dict[str, str]:
    """The recipe of each of the verdict's four tables at one learning rate."""
    ending = WAYS[way]
    return {
        "ticket": f"sanity-imp-{DENSITY}-lr{lr}{ending}",
        "reinit": f"sanity-reinit-{DENSITY}-lr{lr}{ending}",
        "dense": f"sanity-dense-lr{lr}",
        "small_dense": f"sanity-small_dense-{DENSITY}-lr{lr}",
    }


def grid_verdicts(records: Iterable[dict[str, Any]], way: str) -> dict[str, Verdict]:
    """Judge the tickets found in one way, for each data set and arithmetic that has all runs.

    The accuracies are those on test images after the last step. As in the paper they also choose
    the best learning rate, so the best arm of each is likely a lucky one.

    Args:
        records: of any runs.
        way: "iterative" or "one-shot".

    Returns:
        A verdict by data and arithmetic, for example "cifar10, fp32"; empty before all runs of the
        grid are recorded, at least one seed each.
    """
    records = list(records)
    runs = {lr: {arm: by_place(n, records) for arm, n in arms(lr, way).items()} for lr in RATES}
    places = set.intersection(*[set(groups) for at in runs.values() for groups in at.values()])
    found = {}
    for place in sorted(places):
        tables: dict[str, dict[float, list[float]]] = {arm: {} for arm in arms(RATES[0], way)}
        for lr, at in runs.items():
            for arm, groups in at.items():
                tables[arm][lr] = [record["test_accuracy"] for record in groups[place]]
                data = groups[place][0]["data"]["name"]
        name = f"{data}, {arithmetic(*place[1:])}"
        found[name] = verdict(DENSITY, **tables, tolerance=TOLERANCE, enough_epochs=True)
    return found
