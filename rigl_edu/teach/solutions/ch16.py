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


def product_back(values, columns, starts, width, g):
    """W transposed times g: each weight adds to the entry of its column."""
    result = [0.0] * width
    for row, (start, end) in enumerate(zip(starts, starts[1:], strict=False)):
        for i in range(start, end):
            result[columns[i]] += values[i] * g[row]
    return result


def move(listed, old_mask, new_mask):
    """Each number goes with its weight; weights that are new start at 0."""
    full = torch.zeros(old_mask.shape)
    full[old_mask] = listed
    return (full * (old_mask & new_mask))[new_mask]


def speed_up(dense, sparse, rewiring, every):
    """How many times faster training is, if one step in `every` rewires instead."""
    return every * dense / ((every - 1) * sparse + rewiring)
