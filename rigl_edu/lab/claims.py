"""The ledger: the paper's claims, judged by its own numbers and by our records, never by hand.

An entry compares the two sides of one claim at one density, in one place: the paper's runs, ours
with its protocol ("full", 250 epochs or more) or ours with the small one ("mini"). Both sides of an
entry have the same data, by fingerprint, the same precision and as many processes. A record counts
only if the recipe it was made from is the one of that name today; smoke twins have other names and
never count.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from . import paper
from .paper_claims import NAMES, Claim, Side, load_claims, region
from .recipes import RECIPES, fast
from .recipes.mini import mini_name
from .recipes.paper_runs import INITS, run_name
from .records import is_current, processes_of
from .tables import make_row
from .verdict import MIN_SEEDS, NOT_RUN, Difference, Sample, judge, sample, welch

PAPER_SEEDS = 3  # its section 4.5
NETWORKS = {"CIFAR-10": "wrn22", "CIFAR-100": "resnet50"}

Record = dict[str, Any]
Place = tuple[str, str, int]  # fingerprint of the data, precision, number of processes


@dataclass(frozen=True)
class Entry:
    """One claim at one density, in one place.

    Attributes:
        claim: what is compared.
        dataset: the paper's, "CIFAR-10" or "CIFAR-100".
        density: of the networks.
        whose: "paper", "full" or "mini".
        data: name of the data that the runs were trained on.
        precision: "fp32", "bf16" or "fp16".
        devices: that trained them; not compared.
        first: the claim's first side; None without runs.
        second: the other one.
        missing: recipes that have too few runs here.
        processes: that trained each run together.
    """

    claim: Claim
    dataset: str
    density: float
    whose: str
    data: str
    precision: str
    devices: tuple[str, ...]
    first: Sample | None
    second: Sample | None
    missing: tuple[str, ...] = ()
    processes: int = 1

    @property
    def difference(self) -> Difference | None:
        """First side minus second, None where either has too few runs."""
        if self.missing or self.first is None or self.second is None:
            return None
        return welch(self.first, self.second)

    @property
    def verdict(self) -> str:
        """One of the four words of `lab.verdict`: "holds", for example."""
        if self.difference is None:
            return NOT_RUN
        return judge(self.difference, *region(self.claim.relation, self.dataset))


def ledger(records: Iterable[Record]) -> list[Entry]:
    """Every entry, in the order of the claims; the paper's before ours.

    A claim has no entry of the paper where it published no three runs of both sides, and none of
    ours where a side has no recipe.
    """
    records = list(records)
    return [
        entry
        for claim in load_claims()
        for dataset in claim.datasets
        for density in claim.densities
        for entry in (
            *paper_entries(claim, dataset, density),
            *our_entries(claim, dataset, density, "full", records),
            *our_entries(claim, dataset, density, "mini", records),
        )
    ]


# The paper's side


def paper_entries(claim: Claim, dataset: str, density: float, printed: bool = False) -> list[Entry]:
    """The paper's entry, or none. Arguments as for `published`."""
    first, second = (
        published(side, dataset, density, claim.table, printed)
        for side in (claim.first, claim.second)
    )
    if first is None or second is None:
        return []
    return [Entry(claim, dataset, density, "paper", dataset, "fp32", (), first, second)]


def published(
    side: Side, dataset: str, density: float, table: str = "", printed: bool = False
) -> Sample | None:
    """The paper's runs of a side; None where it has no three of them.

    They are the dots of its figures where these show all three, else mean and spread as a table
    prints them. Some printed means are cut off, not rounded: they may be off by the last digit.

    Args:
        side: of a claim.
        dataset: "CIFAR-10" or "CIFAR-100".
        density: of the claim.
        table: see `Claim`.
        printed: prefer the table to the dots.
    """
    run = paper.Run(
        dataset,
        NAMES[side.method],
        INITS.get(side.masks, "-"),
        side.density or density,
        side.times,
        alpha=side.alpha,
        delta_t=side.delta_t,
    )
    table = table or {"CIFAR-10": "Table2 CIFAR-10", "CIFAR-100": "Table3 CIFAR-100"}[dataset]
    cell = paper.cells().get((table, run))
    if len(dots(run)) == PAPER_SEEDS and not (printed and cell):
        return sample(dots(run))
    if cell is None or cell.sd is None:
        return None
    digits = len(str(cell.accuracy).partition(".")[2])
    return Sample(PAPER_SEEDS, cell.accuracy, cell.sd, rounding=10.0**-digits)


def dots(run: paper.Run) -> list[float]:
    """Accuracies of a run's dots in the paper's figures.

    Without two that were typed into the authors' plot script after the runs had collapsed.
    """
    lines = paper.runs_of_figures().get(run, [])
    return [float(line["test_acc"]) for line in lines if not line["note"]]


# Our side


def our_entries(
    claim: Claim, dataset: str, density: float, whose: str, records: Sequence[Record]
) -> list[Entry]:
    """One entry for each data set and arithmetic with records of either side.

    Without any records it is one entry for the recipes' own data; without recipes none.

    Args:
        claim: what to compare.
        dataset: the paper's.
        density: of the claim.
        whose: "full" or "mini".
        records: all there are.
    """
    sides = claim.first, claim.second
    names = [recipe_name(side, dataset, density, whose) for side in sides]
    if not all(name in RECIPES for name in names):
        return []
    recipe = RECIPES[names[0]]
    groups = [by_place(name, records) for name in names]
    entries = []
    for place in sorted(groups[0].keys() | groups[1].keys()) or [("", recipe.precision, 1)]:
        runs = [group.get(place, []) for group in groups]
        all_runs = runs[0] + runs[1]
        entries.append(
            Entry(
                claim,
                dataset,
                density,
                whose,
                data=all_runs[0]["data"]["name"] if all_runs else recipe.data,
                precision=place[1],
                devices=tuple(sorted({run["device"] for run in all_runs})),
                first=summary(runs[0]),
                second=summary(runs[1]),
                missing=tuple(
                    name for name, side in zip(names, runs, strict=True) if len(side) < MIN_SEEDS
                ),
                processes=place[2],
            )
        )
    return entries


def recipe_name(side: Side, dataset: str, density: float, whose: str) -> str:
    """What the recipe of a side is called, whether there is one or not.

    Methods that draw no masks have the names of the protocol's usual masks, which leave them out.
    """
    density = side.density or density
    tuned = (side.alpha, side.delta_t) != (0.3, 100)
    if whose == "mini":
        if tuned or dataset != "CIFAR-10":
            return ""  # the mini protocol has one setting and one data set
        masks = "erk" if side.masks == "-" else side.masks
        return mini_name(side.method, density, masks, side.times)
    masks = "uniform" if side.masks == "-" else side.masks
    method = side.method.replace("_", "-") if side.method == "rigl_reinit" else side.method
    name = run_name(NETWORKS[dataset], method, density, masks, side.times)
    return f"{name}-lr0.1-a{side.alpha}-t{side.delta_t}" if tuned else name


def by_place(name: str, records: Iterable[Record]) -> dict[Place, list[Record]]:
    """The records of today's version of a recipe, by data, precision and number of processes.

    Its twin with the faster arithmetic of a GPU counts too, at a place of its own: the precision is
    another.
    """
    twins = RECIPES[name], fast(RECIPES[name])
    groups: dict[Place, list[Record]] = {}
    for record in records:
        if any(is_current(record, recipe) for recipe in twins):
            data = record["data"]["fingerprint"]
            place = data, record["precision"], processes_of(record)
            groups.setdefault(place, []).append(record)
    return groups


def summary(runs: Sequence[Record]) -> Sample | None:
    """Mean and spread of runs; None for no runs. One seed twice is an error, see `make_row`."""
    return sample(list(make_row(runs).accuracies.values())) if runs else None
