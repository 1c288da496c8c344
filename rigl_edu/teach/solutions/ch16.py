"""Chapter 16: one solution for each exercise."""

import torch


def compressed_rows(matrix):
    """Three lists: the values row by row, their columns, and where each row starts."""
    values, columns, starts = [], [], [0]
    for row in matrix.tolist():
        for column, value in enumerate(row):
            if value != 0:
                values.append(value)
                columns.append(column)
        starts.append(len(values))
    return values, columns, starts


def product(values, columns, starts, x):
    """W x, one entry of the result for each row."""
    result = []
    for start, end in zip(starts, starts[1:], strict=False):
        result.append(sum(values[i] * x[columns[i]] for i in range(start, end)))
    return result


def move(listed, old_mask, new_mask):
    """Each number goes with its weight; weights that are new start at 0."""
    full = torch.zeros(old_mask.shape)
    full[old_mask] = listed
    return (full * (old_mask & new_mask))[new_mask]


def speed_up(dense, sparse, rewiring, every):
    """How many times faster training is, if one step in `every` rewires instead."""
    return every * dense / ((every - 1) * sparse + rewiring)
