"""Chapter 16's checkers: the references pass, each wrong answer fails with its mistake named."""

import pytest
import torch

from rigl_edu.teach.check import ch16
from rigl_edu.teach.solutions import ch16 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(ch16, solution)


def test_references():
    MUSEUM.the_references_pass()


def test_shown_solutions():
    MUSEUM.the_shown_solutions_run("import torch")


def test_exercises():
    MUSEUM.is_complete()


@MUSEUM.wrong("compressed_rows", "One start a row and one more")
def no_end(matrix):
    values, columns, starts = solution.compressed_rows(matrix)
    return values, columns, starts[:-1]


@MUSEUM.wrong("compressed_rows", "lengths of the rows")
def lengths(matrix):
    values, columns, starts = solution.compressed_rows(matrix)
    return values, columns, [b - a for a, b in zip(starts, starts[1:], strict=False)] or [0]


@MUSEUM.wrong("compressed_rows", "down the columns")
def by_columns(matrix):
    return solution.compressed_rows(matrix.t())


@MUSEUM.wrong("compressed_rows", "compare with 0")
def only_positive(matrix):
    return solution.compressed_rows(matrix * (matrix > 0))


@MUSEUM.wrong("compressed_rows", "counted from 0 in its row")
def flat_columns(matrix):
    values, _, starts = solution.compressed_rows(matrix)
    return values, matrix.flatten().nonzero().flatten().tolist(), starts


@MUSEUM.wrong("compressed_rows", "An empty row has a start as well")
def forgets_empty_rows(matrix):
    values, columns, starts = solution.compressed_rows(matrix)
    return (
        values,
        columns,
        [0, 0] + sorted(set(starts))[1:] if 0 in matrix.count_nonzero(1) else starts,
    )


@MUSEUM.wrong("compressed_rows", "An empty row has a start as well")
def one_start_for_each_row_with_values(matrix):
    values, columns, starts = solution.compressed_rows(matrix)
    return values, columns, sorted(set(starts))


@MUSEUM.wrong("compressed_rows", "begins with 0")
def ends(matrix):
    values, columns, starts = solution.compressed_rows(matrix)
    return values, columns, starts[1:]


@MUSEUM.wrong("compressed_rows", "the row of each value")
def coordinates(matrix):
    values, columns, _ = solution.compressed_rows(matrix)
    return values, columns, matrix.nonzero()[:, 0].tolist()


@MUSEUM.wrong("compressed_rows", "leave them out")
def with_zeros(matrix):
    rows, width = matrix.shape
    starts = [r * width for r in range(rows + 1)]
    return matrix.flatten().tolist(), list(range(width)) * rows, starts


@MUSEUM.wrong("compressed_rows", "The order is")
def columns_first(matrix):
    values, columns, starts = solution.compressed_rows(matrix)
    return columns, values, starts


@MUSEUM.wrong("compressed_rows", "keep their signs")
def sizes(matrix):
    return solution.compressed_rows(matrix.abs())


@MUSEUM.wrong("compressed_rows", "not from 1")
def columns_from_one(matrix):
    values, columns, starts = solution.compressed_rows(matrix)
    return values, [c + 1 for c in columns], starts


@MUSEUM.wrong("compressed_rows", "These are rows")
def rows_for_columns(matrix):
    values, _, starts = solution.compressed_rows(matrix)
    return values, matrix.nonzero()[:, 0].tolist(), starts


@MUSEUM.wrong("compressed_rows", "three lists")
def a_tensor(matrix):
    return matrix.to_sparse_csr()


def scatter(number=lambda g, row, column, i: g[row], stop=0, add=True):
    def product_back(values, columns, starts, width, g):
        result = [0.0] * width
        for row, (start, end) in enumerate(zip(starts, starts[1:], strict=False)):
            for i in range(start, end - stop):
                old = result[columns[i]] if add else 0.0
                result[columns[i]] = old + values[i] * number(g, row, columns[i], i)
        return result

    return product_back


def test_the_parts_of_the_wrong_products_are_right_by_themselves():
    assert ch16.product_back(scatter(), quiet=True)


for name, hint, part in (
    ("by_column", "this takes g[columns[i]]", {"number": lambda g, row, column, i: g[column]}),
    ("by_entry", "this takes g[i]", {"number": lambda g, row, column, i: g[i]}),
    ("overwrites", "do not overwrite", {"add": False}),
    ("stops_early", "last entry of each row is missing", {"stop": 1}),
):
    MUSEUM.hang("product_back", name, hint, scatter(**part))


@MUSEUM.wrong("product_back", "the page's product")
def forward(values, columns, starts, width, g):
    pairs = zip(starts, starts[1:], strict=False)
    return [sum(values[i] * g[columns[i]] for i in range(a, b)) for a, b in pairs]


@MUSEUM.wrong("product_back", "must not be left out")
def skips_empty_columns(values, columns, starts, width, g):
    result = solution.product_back(values, columns, starts, width, g)
    return [entry for c, entry in enumerate(result) if c in columns]


@MUSEUM.wrong("move", "other connections' momentum")
def stays(listed, old_mask, new_mask):
    return listed


@MUSEUM.wrong("move", "weights that stayed keep")
def resets(listed, old_mask, new_mask):
    return torch.zeros(int(new_mask.sum()))


@MUSEUM.wrong("move", "not at the end")
def new_ones_last(listed, old_mask, new_mask):
    full = torch.zeros(old_mask.shape)
    full[old_mask] = listed
    kept = full[old_mask & new_mask]
    return torch.cat([kept, torch.zeros(int(new_mask.sum()) - len(kept))])


@MUSEUM.wrong("move", "One number for each weight of the new mask")
def full_matrix(listed, old_mask, new_mask):
    full = torch.zeros(old_mask.shape)
    full[old_mask] = listed
    return full * new_mask


@MUSEUM.wrong("speed_up", "Rewirings take time too")
def no_rewiring(dense, sparse, rewiring, every):
    return dense / sparse


@MUSEUM.wrong("speed_up", "does not come on top")
def on_top(dense, sparse, rewiring, every):
    return every * dense / (every * sparse + rewiring)


@MUSEUM.wrong("speed_up", "Upside down")
def inverted(dense, sparse, rewiring, every):
    return ((every - 1) * sparse + rewiring) / (every * dense)


@MUSEUM.wrong("speed_up", "ratios do not")
def mean_of_ratios(dense, sparse, rewiring, every):
    return ((every - 1) * dense / sparse + dense / rewiring) / every


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_wrong(exercise, answer, hint):
    MUSEUM.rejects(exercise, answer, hint)
