"""Chapter 7: the ratio, sharing with overflow, whole numbers, the first layer to fill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from ... import sparse
from .result import Answer, Case, Exercise

THREE = {"A": (6, 6), "B": (2, 6), "C": (1, 2)}  # the page's three layers


def _close(given: float, right: float) -> bool:
    return abs(given - right) < 1e-6 * max(1.0, abs(right))


def _nothing(given: Any) -> bool:
    return given is None or given is ...


# --- 1: the ratio -------------------------------------------------------------------------------


def _ratio_of(shape: tuple[int, ...], hints: Mapping[str, float]) -> Case:
    """The ratio of one shape; `hints` maps what a mistake is called to what it gives there."""
    right = sum(shape) / prod(shape)

    def test(answer: Answer) -> str:
        given = answer(shape)
        if _nothing(given):
            return "It returned nothing."
        if _close(float(given), right):
            return ""
        for hint, wrong in hints.items():
            if _close(float(given), wrong):
                return hint
        return f"It gave {float(given):.4f}; right is {right:.4f}."

    return Case(f"shape {shape}", test)


ratio = Exercise(
    name="ch07.ratio",
    task="`ratio(shape)`: what ERK multiplies by epsilon to get a layer's density. `shape` is the "
    "weight's: (n_out, n_in), or (n_out, n_in, k_h, k_w) for a convolution.",
    minutes=5,
    difficulty=1,
    clues=(
        "ERK gives a layer epsilon times the sum of its shape. That is a number of weights.",
        "A density is a number of weights over the size of the layer.",
        "`sum(shape) / prod(shape)`: it covers both kinds of layer.",
    ),
    cases=(
        _ratio_of(
            (2, 6),
            {
                "That is a number of weights. Divide by the size of the layer.": 8,
                "Upside down: a large layer must get the smaller density.": 12 / 8,
                "(1 - ratio) is how the papers write the sparsity; here the density is asked.": 1
                - 8 / 12,
            },
        ),
        _ratio_of(
            (16, 8, 3, 3),
            {
                "That is ER: it leaves the kernel out of the sum and of the size.": 24 / 128,
                "The kernel belongs in the sum too: 16 + 8 + 3 + 3.": 24 / 1152,
                "The size of the layer is the product of all four numbers.": 30 / 128,
                "In the sum the kernel counts 3 + 3, not 3 × 3.": 33 / 1152,
            },
        ),
        _ratio_of((10, 4, 1, 5), {}),
    ),
)

# --- 2: sharing a budget ------------------------------------------------------------------------


def _share(shapes: Mapping[str, tuple[int, ...]], density: float) -> list[float]:
    densities = sparse.erk(shapes, density)
    return [densities[name] * prod(shape) for name, shape in shapes.items()]


def _shares(
    name: str,
    density: float,
    hints: Mapping[str, Sequence[float]],
    shapes: Mapping[str, tuple[int, ...]] = THREE,
) -> Case:
    """Weights for each layer; `hints` maps what a mistake is called to what it gives here."""
    right = _share(shapes, density)
    sizes = [prod(shape) for shape in shapes.values()]
    sums = [sum(shape) for shape in shapes.values()]

    def same(given: Sequence[float], wanted: Sequence[float]) -> bool:
        return all(_close(a, b) for a, b in zip(given, wanted, strict=True))

    def test(answer: Answer) -> str:
        given = answer(list(sizes), list(sums), density)
        if _nothing(given):
            return "It returned nothing."
        if not isinstance(given, (list, tuple)) or len(given) != len(sizes):
            return f"It should return a list of {len(sizes)} numbers, one a layer."
        given = [float(n) for n in given]
        if same(given, right):
            return ""
        for hint, wrong in hints.items():
            if same(given, wrong):
                return hint
        if same(given, [n / size for n, size in zip(right, sizes, strict=True)]):
            return "These are densities. Return numbers of weights: epsilon × sum."
        full = [i for i, n in enumerate(given) if n > sizes[i] + 1e-9]
        if full:
            i = full[0]
            return f"Layer {i} gets {given[i]:.2f} weights and has only {sizes[i]}."
        budget = density * sum(sizes)
        off = max(abs(a - b) for a, b in zip(given, right, strict=True))
        if off < 1 and all(n == int(n) for n in given):
            return "These are rounded. Return the exact shares; rounding is the next exercise."
        if not _close(sum(given), budget):
            return f"Together {sum(given):.2f} weights; the budget is {budget:.2f}."
        return (
            f"The budget is kept, but the shares are {', '.join(f'{n:.2f}' for n in given)}; right "
            f"are {', '.join(f'{n:.2f}' for n in right)}. Every layer that is not dense gets the "
            "same epsilon times its sum."
        )

    return Case(name, test)


share = Exercise(
    name="ch07.share",
    task="`share(sizes, sums, density)`: how many weights each layer may keep, a list of floats. "
    "`sizes` are the layers' numbers of weights, `sums` the sums of their shapes. A layer that "
    "would get more than its size becomes dense, and the rest is shared again.",
    minutes=20,
    difficulty=2,
    clues=(
        "The budget is density × the sum of all sizes. Without overflow, epsilon is the budget "
        "over the sum of `sums`.",
        "Keep a set of dense layers. In each round: what is left of the budget, over the sums of "
        "the layers that are not dense.",
        "Stop when no layer is above its size in a round, or when all are dense. A later round can "
        "bring a new layer over, so it takes a loop.",
    ),
    cases=(
        _shares(
            "no layer overflows",
            0.2,
            {
                "That is uniform: every layer the same density.": [7.2, 2.4, 0.4],
                "Each layer gets epsilon × its sum; not the same number for all.": [10 / 3] * 3,
            },
        ),
        _shares(
            "the last layer overflows",
            0.44,
            {
                "Layer 2 has 2 weights and gets more: make it dense and share the rest again.": [
                    12 * 22 / 23,
                    8 * 22 / 23,
                    3 * 22 / 23,
                ],
                "Cut off at 1: the surplus of the full layer is lost. Share it among the others.": [
                    12 * 22 / 23,
                    8 * 22 / 23,
                    2,
                ],
                "The weights of the dense layer must come out of the budget before the rest is "
                "shared.": [13.2, 8.8, 2],
                "In the second round only the layers that are not dense divide the rest: leave the "
                "dense layer's sum out too.": [12 * 20 / 23, 8 * 20 / 23, 2],
                "Scaling everything up again lifts the dense layer above its size.": [
                    n * 22 / (20 * 22 / 23 + 2) for n in (12 * 22 / 23, 8 * 22 / 23, 2)
                ],
            },
        ),
        _shares(
            "a second layer overflows only in the second round",
            0.66,
            {
                "Round 2 brings layer 1 above its size. Repeat until a round has no overflow.": [
                    18.6,
                    12.4,
                    2,
                ],
                "Round 2 brings layer 1 above its size, and there it was cut off: repeat.": [
                    18.6,
                    12,
                    2,
                ],
            },
        ),
        _shares("two layers overflow at once", 0.7, {}),
        _shares("the first layer overflows", 0.44, {}, dict(reversed(THREE.items()))),
        _shares("density 1", 1.0, {}),
    ),
)

# --- 3: whole numbers ---------------------------------------------------------------------------


def _wholes(name: str, exact: Sequence[float], hints: Mapping[str, Sequence[int]]) -> Case:
    sizes = {str(i): (10**6,) for i in range(len(exact))}
    counts = sparse.active_counts(sizes, {str(i): n / 10**6 for i, n in enumerate(exact)})
    right = list(counts.values())

    def test(answer: Answer) -> str:
        given = answer(list(exact))
        if _nothing(given):
            return "It returned nothing."
        if not isinstance(given, (list, tuple)) or len(given) != len(exact):
            return f"It should return a list of {len(exact)} numbers, one a layer."
        if any(int(n) != n for n in given):
            return "Half a weight does not exist: return whole numbers."
        given = [int(n) for n in given]
        if given == right:
            return ""
        for hint, wrong in hints.items():
            if given == list(wrong):
                return hint
        total = round(sum(exact))
        if sum(given) != total:
            return f"Together {sum(given)}; the shares add up to {sum(exact):g}, rounded {total}."
        return f"It gave {given}; right is {right}: the largest remainders get one more."

    return Case(name, test)


whole = Exercise(
    name="ch07.whole",
    task="`whole(exact)`: whole numbers of weights from the exact shares, a list of floats. They "
    "add up to the rounded sum, and the layers with the largest remainders get one more.",
    minutes=10,
    difficulty=2,
    clues=(
        "Round every share down first. How many weights are missing then?",
        "Sort the layers by what rounding down took from them, largest first.",
        "`missing = round(sum(exact)) - sum(counts)`; add 1 to the first `missing` layers of "
        "`sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])`.",
    ),
    cases=(
        _wholes("nothing to round", [12.0, 8.0, 2.0], {}),
        _wholes(
            "rounding each loses one",
            [2.45, 2.4, 2.35, 2.8],
            {
                "Rounding each by itself loses a weight: 9 instead of 10.": [2, 2, 2, 3],
                "Rounding down loses what is behind the points: 8 instead of 10.": [2, 2, 2, 2],
                "Rounding up makes 12 of 10.": [3, 3, 3, 3],
                "The missing weights go to the largest remainders, one each; not all to the "
                "last.": [2, 2, 2, 4],
                "The missing weights go to the largest remainders, not to the first layers.": [
                    3,
                    3,
                    2,
                    2,
                ],
                "One each: the layer with the largest remainder got both.": [2, 2, 2, 4],
            },
        ),
        _wholes(
            "rounding each makes one too many",
            [1.6, 1.75, 1.65],
            {"Rounding each by itself makes 6 of 5.": [2, 2, 2]},
        ),
        _wholes(
            "the largest layer has the smallest remainder",
            [100.1, 3.4, 2.5],
            {"The largest remainder counts, not the largest layer.": [101, 3, 2]},
        ),
        _wholes("the sum is rounded up", [4.6, 3.75, 2.35], {}),
        _wholes("the sum is rounded down", [2.45, 5.5, 2.35], {}),
    ),
)

# --- 4: the first layer to fill -----------------------------------------------------------------


def _first(shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, float]:
    epsilon = {name: prod(shape) / sum(shape) for name, shape in shapes.items()}
    name = min(epsilon, key=epsilon.__getitem__)
    sums = sum(map(sum, shapes.values()))
    return name, epsilon[name] * sums / sum(map(prod, shapes.values()))


def _fills(
    name: str,
    shapes: Mapping[str, tuple[int, ...]],
    layers: Mapping[str, str],
    densities: Mapping[str, float],
) -> Case:
    """`layers` maps a wrong layer to its hint, `densities` a hint to a wrong density."""
    layer, density = _first(shapes)

    def test(answer: Answer) -> str:
        given = answer(dict(shapes))
        if _nothing(given):
            return "It returned nothing."
        if not isinstance(given, (list, tuple)) or len(given) != 2:
            return "It should return two things: the layer's name and the global density."
        if given[0] != layer:
            why = layers.get(given[0], "")
            return f"{given[0]!r} is not the first to fill up. {why}".rstrip()
        if _close(float(given[1]), density):
            return ""
        for hint, wrong in densities.items():
            if _close(float(given[1]), wrong):
                return hint
        return f"The layer is right. Its density: {float(given[1]):.4f}; right is {density:.4f}."

    return Case(name, test)


first_full = Exercise(
    name="ch07.first_full",
    task="`first_full(shapes)`: which layer becomes dense first under ERK as the global density "
    "rises from 0, and at which global density? `shapes` maps names to shapes; return (name, "
    "density).",
    minutes=15,
    difficulty=3,
    clues=(
        "At which epsilon does one layer hold exactly its own size?",
        "epsilon × sum = size. The layer with the smallest such epsilon is the first.",
        "Up to that point nothing has overflowed, so the whole network holds epsilon × the sum of "
        "all sums. Divide by the sum of all sizes.",
    ),
    cases=(
        _fills(
            "the page's three layers",
            THREE,
            {},
            {
                "That is epsilon. How many weights does the whole network hold at this epsilon?": 2
                / 3,
                "That is the density of the layer itself. The network's is asked.": 1.0,
                "That is the number of weights. Divide by the size of the network.": 23 * 2 / 3,
                "That is the layer's share of all weights. The other layers hold some by then.": 2
                / 50,
            },
        ),
        _fills(
            "a small square layer and a long thin one",
            {"square": (2, 2), "thin": (1, 8)},
            {
                "square": "It is the smallest, but what counts is size over sum: how much it can "
                "hold for what it asks."
            },
            {},
        ),
        _fills(
            "convolutions",
            {"stem": (4, 1, 5, 5), "next": (8, 4, 2, 2), "linear": (10, 8)},
            {
                "linear": "With the kernel in both the sum and the size, compare size over sum.",
                "next": "Compare size over sum; here the kernel is in both.",
                "stem": "Compare size over sum; here the kernel is in both.",
            },
            {},
        ),
    ),
)
