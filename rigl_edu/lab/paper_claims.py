"""What the reproduction paper claims: a sentence, its place, two sides and a direction.

The claims stand in `paper_claims.csv`, one a line; sentences are ours, places are the paper's
(Sundar and Dwaraknath 2021). No number is there: the paper's come from `paper`, ours from records,
and `claims` sets them side by side.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from . import paper

CLAIMS = Path(__file__).with_name("paper_claims.csv")

# What the paper calls the methods; the last of them is RigL with other first masks.
NAMES = {**paper.NAMES, "rigl_reinit": "RigL re-init from RigL-SM"}

# Points within which two accuracies are similar. The paper says "match" without a margin; these are
# the tolerances of Ma et al. 2021 for the two data sets.
SIMILAR = {"CIFAR-10": 0.5, "CIFAR-100": 1.0}

TOPICS = {
    "methods": "Which method is better",
    "masks": "Where the weights are at the start",
    "longer": "Training longer, and pruning",
    "layers": "Moving weights between layers",
    "tuning": "Tuning, and whole kernels",
}

# Claims that no comparison of two means over seeds can judge: what, where, and why.
NOT_JUDGED = (
    (
        "The original's CIFAR-10 accuracies are reproduced within 0.1 points",
        "abstract; table 1",
        "Table 1 prints neither a spread nor the number of seeds",
    ),
    (
        "SET can be unstable when it trains longer",
        "figure 1",
        "rare collapses are no difference of means, and three seeds show one or none",
    ),
    (
        "The masks at the start matter more than the method",
        "sections 5.2, 7",
        "it compares gaps between several methods and names no two sides",
    ),
    (
        "Lottery tickets are as good as the others at sparsities below 80 %",
        "section 5.2",
        "the tables begin at 80 %",
    ),
    (
        "Learning rates of 0.1 and 0.05 are close to the best everywhere",
        "section 5.3; figure 3",
        "Figure 3 has one run a point",
    ),
    (
        "RigL costs the same throughout training, redistribution costs more",
        "abstract; section 6.2",
        "FLOPs are counted, not sampled",
    ),
)


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        method: a key of `NAMES`.
        masks: "uniform", "erk" or "er"; "-" for a method that draws none.
        times: 2 or 3 for longer training.
        density: if it is not that of the claim.
        alpha: share of a layer's weights that is rewired at first.
        delta_t: steps between rewirings.
    """

    method: str
    masks: str = "-"
    times: int = 1
    density: float | None = None
    alpha: float = 0.3
    delta_t: int = 100


@dataclass(frozen=True)
class Claim:
    """One claim, for one or several data sets and densities.

    Attributes:
        topic: a key of `TOPICS`.
        sentence: what is claimed.
        where: the paper's sections, tables and figures.
        first: the side that is said to be better, or as good, or no better.
        relation: a key of `region`.
        second: the side it is compared with.
        datasets: "CIFAR-10" (WRN-22-2), "CIFAR-100" (ResNet-50), or both.
        densities: of the networks.
        table: where the paper prints the numbers; "" for Tables 2 and 3, by data set.
    """

    topic: str
    sentence: str
    where: str
    first: Side
    relation: str
    second: Side
    datasets: tuple[str, ...]
    densities: tuple[float, ...]
    table: str


def load_claims() -> list[Claim]:
    """All claims, in the order of the file."""
    with CLAIMS.open(newline="") as file:
        return [claim_of(row) for row in csv.DictReader(file)]


def claim_of(row: dict[str, str]) -> Claim:
    """The claim of one line of the file."""
    return Claim(
        topic=row["topic"],
        sentence=row["claim"],
        where=row["where"],
        first=side_of(row["first"]),
        relation=row["relation"],
        second=side_of(row["second"]),
        datasets=tuple(SIMILAR) if row["data"] == "both" else (row["data"],),
        densities=tuple(float(word) for word in row["densities"].split()),
        table=row["table"],
    )


def side_of(words: str) -> Side:
    """A side from its words: "rigl erk 2x", "rigl erk 0.0587", "rigl uniform a0.197 t50", "dense".

    Raises:
        ValueError: a word means nothing.
    """
    method, *rest = words.split()
    side = Side(method, density=1.0 if method == "dense" else None)
    fields = dict(vars(side))
    for word in rest:
        if word in ("uniform", "erk", "er"):
            fields["masks"] = word
        elif word.endswith("x"):
            fields["times"] = int(word[:-1])
        elif word.startswith("a"):
            fields["alpha"] = float(word[1:])
        elif word.startswith("t"):
            fields["delta_t"] = int(word[1:])
        else:
            fields["density"] = float(word)
    return Side(**fields)


def region(relation: str, dataset: str) -> tuple[float, float]:
    """Where first - second lies if the claim is true, in points."""
    margin = SIMILAR[dataset]
    return {
        "above": (0.0, math.inf),
        "at least": (-margin, math.inf),
        "matches": (-margin, margin),
        "no better": (-math.inf, margin),
    }[relation]
