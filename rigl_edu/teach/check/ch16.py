"""Chapter 16, from masks to seconds: compressed rows, the way back, what moves at a rewiring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ... import sparse
from ...sparse.csr import pattern_of
from ..layers import six_by_six
from .result import Answer, Case, Exercise

Lists = tuple[list[float], list[float], list[float]]


def _lists(matrix: Tensor) -> Lists:
    """Values, columns and starts of a matrix, as the package finds them."""
    pattern = pattern_of(matrix)
    values = matrix.flatten()[pattern.flat()]
    column, start = pattern.column.double(), pattern.row_start.double()
    return values.tolist(), column.tolist(), start.tolist()


# --- 1: compressed rows ---------------------------------------------------------------------------


def _rows(name: str, matrix: Tensor) -> Case:
    expected = _lists(matrix)

    def test(answer: Answer) -> str:
        given = answer(matrix.clone())
        if given is None or given is ...:
            return "It returned nothing."
        if not isinstance(given, (tuple, list)) or len(given) != 3:
            return "Return three lists: values, columns, starts."
        values, columns, starts = ([float(x) for x in part] for part in given)
        problem = (
            _wrong_starts(starts, expected[2])
            or _wrong_values(values, columns, matrix)
            or _wrong_columns(columns, matrix)
        )
        if problem:
            return problem
        for what, mine, right in zip(
            ("values", "columns", "starts"), (values, columns, starts), expected, strict=True
        ):
            if len(mine) != len(right):
                return f"{what} has {len(mine)} entries, right is {len(right)}."
            if any(abs(a - b) > 1e-6 for a, b in zip(mine, right, strict=True)):
                return f"{what} is {_short(mine)}; right is {_short(right)}."
        return ""

    return Case(name, test)


def _wrong_starts(starts: list[float], right: list[float]) -> str:
    """The usual mistakes of the third list."""
    if starts == [b - a for a, b in zip(right, right[1:], strict=False)]:
        return "These are the lengths of the rows; starts are their running sum, from 0."
    if starts == right[1:]:
        return "These are the ends of the rows: `starts` begins with 0, where row 0 starts."
    if starts == right[:-1]:
        return "One start a row and one more, for the end of the last row."
    if starts != right and sorted(set(starts)) == sorted(set(right)):
        return "An empty row has a start as well; the next row's is the same."
    rows = [float(r) for r, (a, b) in enumerate(zip(right, right[1:], strict=False)) if b > a]
    if sorted(set(starts)) == rows and len(starts) == right[-1] > 0 and starts != right:
        return "This is the row of each value. `starts` says at which entry each row begins."
    return ""


def _wrong_values(values: list[float], columns: list[float], matrix: Tensor) -> str:
    right = _lists(matrix)[0]
    if values == right:
        return ""
    if values == _lists(matrix.t())[0]:
        return "Row by row: these values run down the columns."
    if values == matrix.flatten().tolist():
        return "The zeros are in it too: leave them out."
    if values == [v for v in right if v > 0]:
        return "Negative values are values too: compare with 0."
    if values == [abs(v) for v in right]:
        return "The values keep their signs."
    if columns == right:
        return "The order is values, columns, starts."
    return ""


def _wrong_columns(columns: list[float], matrix: Tensor) -> str:
    right, width = _lists(matrix)[1], matrix.shape[1]
    flat = matrix.flatten().nonzero().flatten().tolist()
    if columns != right and columns in (flat, [c + 1 for c in right]):
        return "A column is counted from 0 in its row, not from 1 or through the whole matrix."
    rows = [float(i // width) for i in flat]
    return "These are rows; the column of each is asked." if columns == rows != right else ""


def _short(numbers: list[float]) -> str:
    return "[" + ", ".join(f"{x:g}" for x in numbers[:8]) + (", ...]" if len(numbers) > 8 else "]")


compressed_rows = Exercise(
    name="ch16.compressed_rows",
    task="`compressed_rows(matrix)`: the nonzero values row by row, the column of each, and where "
    "each row starts in these lists, as three Python lists. The last start is the end.",
    minutes=10,
    difficulty=1,
    clues=(
        "Walk through the matrix row by row, and in each row from left to right.",
        "After each row, write down how many values there are by now.",
        "`starts` begins with 0 and has one entry more than there are rows: row r has the entries "
        "starts[r] to starts[r + 1].",
    ),
    cases=(
        _rows("a small matrix", torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, -3.0]])),
        _rows("a row without any", torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 4.0]])),
        _rows("the last row is empty", torch.tensor([[5.0, 6.0], [0.0, 0.0]])),
        _rows("the book's layer", six_by_six().weight),
    ),
)

# --- 2: the transpose's product -------------------------------------------------------------------


def _product(name: str, matrix: Tensor, g: list[float], mistakes: dict[str, Any]) -> Case:
    values, columns, starts = _lists(matrix)
    width = matrix.shape[1]
    expected = (matrix.t() @ torch.tensor(g)).tolist()

    def test(answer: Answer) -> str:
        places, begins = [int(c) for c in columns], [int(s) for s in starts]
        given = answer(list(values), places, begins, width, list(g))
        if given is None or given is ...:
            return "It returned nothing."
        mine = [float(entry) for entry in given]
        for hint, wrong in mistakes.items():
            if _near(mine, wrong):
                return hint
        if len(mine) != len(expected):
            return f"One entry a column, {len(expected)} of them; these are {len(mine)}."
        if not _near(mine, expected):
            return f"It gave {_short(mine)}; right is {_short(expected)}."
        return ""

    return Case(name, test)


def _near(a: list[float], b: list[float]) -> bool:
    return len(a) == len(b) and all(abs(x - y) < 1e-4 for x, y in zip(a, b, strict=True))


# Row 2 is empty, and so is column 1.
SMALL = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.0, -3.0], [0.0, 0.0, 0.0], [0.0, 0.0, 4.0]])
product_back = Exercise(
    name="ch16.product_back",
    task="`product_back(values, columns, starts, width, g)`: the entries of Wᵀ g as a list, where "
    "W is in compressed rows and has `width` columns, and g is a list with one number a row. "
    "Touch no zero, and do not build the lists of Wᵀ.",
    minutes=10,
    difficulty=2,
    clues=(
        "Which entries of the result does one weight in row r and column c change? By how much?",
        "Only entry c, by the weight times g[r]. So walk through W row by row, as before, and add "
        "each contribution where it belongs.",
        "`result = [0.0] * width`; for each row r and each i from starts[r] up to starts[r + 1], "
        "`result[columns[i]] += values[i] * g[r]`.",
    ),
    cases=(
        _product(
            "a small matrix with an empty row and an empty column",
            SMALL,
            [1.0, 10.0, 100.0, 1000.0],
            {
                "That is W times g, the page's product: entry i must go to its column.": [
                    2.0,
                    -299.0,
                    0.0,
                    400.0,
                ],
                "Several weights share a column: add, do not overwrite.": [10.0, 0.0, 4000.0],
                "A weight multiplies g[r], the number of its row; this takes g[columns[i]].": [
                    3.0,
                    0.0,
                    100.0,
                ],
                "A weight multiplies g[r], the number of its row; this takes g[i].": [
                    12.0,
                    0.0,
                    3700.0,
                ],
                "An empty column gives 0 and must not be left out.": [12.0, 3970.0],
                "The last entry of each row is missing: the end of a row is not included, so "
                "range(start, end) has them all.": [10.0, 0.0, 0.0],
            },
        ),
        _product("the book's layer", six_by_six().weight, [1.0, -2.0, 3.0, -4.0, 5.0, -6.0], {}),
        _product("one row", torch.tensor([[2.0, 0.0, -1.0]]), [3.0], {}),
        _product("the last column is empty", torch.tensor([[2.0, 0.0], [1.0, 0.0]]), [3.0, 4], {}),
    ),
)

# --- 3: what moves with the weights ---------------------------------------------------------------


def _moves(name: str, old: Tensor, new: Tensor, mistakes: dict[str, Callable[..., Tensor]]) -> Case:
    listed = torch.arange(1.0, 1 + int(old.count_nonzero()))
    expected = _moved(listed, old, new)

    def test(answer: Answer) -> str:
        before = listed.clone()
        given = answer(before, old.clone(), new.clone())
        if given is None or given is ...:
            return "It returned nothing."
        if not isinstance(given, Tensor) or given.shape != expected.shape:
            shape = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
            return f"One number for each weight of the new mask, {len(expected)}; this is {shape}."
        for hint, wrong in mistakes.items():
            made = wrong(listed, old, new)
            if made.shape == given.shape and given.equal(made) and not made.equal(expected):
                return hint
        if not torch.allclose(given.float(), expected):
            return f"It gave {_short(given.tolist())}; right is {_short(expected.tolist())}."
        return ""

    return Case(name, test)


def _moved(listed: Tensor, old: Tensor, new: Tensor) -> Tensor:
    full = torch.zeros(old.shape)
    full[old] = listed
    return (full * (old & new))[new]


def _stay_in_place(listed: Tensor, old: Tensor, new: Tensor) -> Tensor:
    return listed


def _nothing(listed: Tensor, old: Tensor, new: Tensor) -> Tensor:
    return torch.zeros(int(new.count_nonzero()))


def _in_order_of_arrival(listed: Tensor, old: Tensor, new: Tensor) -> Tensor:
    full = torch.zeros(old.shape)
    full[old] = listed
    kept, grown = full[old & new], int((new & ~old).count_nonzero())
    return torch.cat([kept, torch.zeros(grown)])


def _rewired() -> tuple[Tensor, Tensor]:
    layer = six_by_six()
    kept = sparse.drop(layer.weight.abs(), layer.mask, 3)
    return layer.mask, sparse.grow(layer.gradient.abs() * ~layer.mask, kept, 3)


OLD = torch.tensor([[1, 1, 0], [0, 1, 1]]).bool()
NEW = torch.tensor([[0, 1, 1], [1, 0, 1]]).bool()
MISTAKES: dict[str, Callable[..., Tensor]] = {
    "The list is as it was: now entry i belongs to another weight, and the optimizer reads other "
    "connections' momentum.": _stay_in_place,
    "Everything is 0: weights that stayed keep their momentum.": _nothing,
    "New weights are not at the end: the list is in the order of the rows.": _in_order_of_arrival,
}
move = Exercise(
    name="ch16.move",
    task="`move(listed, old_mask, new_mask)`: `listed` has the momentum of each active weight of "
    "`old_mask`, row by row. Return that of `new_mask`'s weights; new ones start at 0.",
    minutes=10,
    difficulty=2,
    clues=(
        "Where in the full matrix does each number belong?",
        "`full[old_mask] = listed` puts them there; `full[new_mask]` reads in the same order.",
        "A weight that is new must find a 0 there.",
    ),
    cases=(
        _moves("a small layer", OLD, NEW, MISTAKES),
        _moves("the mask stays", OLD, OLD, MISTAKES),
        _moves("fewer weights than before", OLD, OLD & NEW, MISTAKES),
        _moves("the book's layer, rewired", *_rewired(), MISTAKES),
    ),
)

# --- 4: what the rewirings cost ------------------------------------------------------------------


def _times(dense: float, sparse: float, rewiring: float, every: int) -> Case:
    expected = every * dense / ((every - 1) * sparse + rewiring)
    mistakes = {
        "Rewirings take time too.": dense / sparse,
        "A rewiring takes the place of a step; it does not come on top.": every
        * dense
        / (every * sparse + rewiring),
        "Upside down: this is the time, as a share of dense.": 1 / expected,
        "Times add up, ratios do not: add the time of all steps first, then divide.": (
            (every - 1) * dense / sparse + dense / rewiring
        )
        / every,
    }

    def test(answer: Answer) -> str:
        given = answer(dense, sparse, rewiring, every)
        if given is None or given is ...:
            return "It returned nothing."
        for hint, wrong in mistakes.items():
            if abs(float(given) - wrong) < 1e-6 and abs(wrong - expected) > 1e-6:
                return hint
        if abs(float(given) - expected) > 1e-6:
            return f"It gave {float(given):.4f}; right is {expected:.4f}."
        return ""

    return Case(f"dense {dense}, sparse {sparse}, rewiring {rewiring} ms, every {every}", test)


speed_up = Exercise(
    name="ch16.speed_up",
    task="`speed_up(dense, sparse, rewiring, every)`: how many times faster than dense a training "
    "is whose ordinary step takes `sparse` ms and whose every `every`-th step rewires instead, in "
    "`rewiring` ms, to the end of training. A dense step takes `dense` ms.",
    minutes=5,
    difficulty=1,
    clues=(
        "How long do `every` steps take, dense and sparse?",
        "Of `every` steps one is a rewiring, so every - 1 are ordinary ones.",
        "`every * dense / ((every - 1) * sparse + rewiring)`",
    ),
    cases=(_times(20.0, 4.0, 104.0, 100), _times(20.0, 4.0, 104.0, 10), _times(8.0, 8.0, 8.0, 5)),
)
