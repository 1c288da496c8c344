"""The toy of chapter 1: its masks, FLOPs and bytes are those of rigl_edu and of torch."""

import pytest
import torch
from torch import nn

from rigl_edu.sparse import forward_flops, grow, sparsify
from rigl_edu.teach import six_by_six, toys
from rigl_edu.teach.layers import places
from rigl_edu.teach.toys.mask_cost import csr_bytes
from tests.teach.node import run_node


def torch_bytes(mask, index):
    """What torch needs for the mask as compressed rows of float32, with such indices."""
    stored = mask.float().to_sparse_csr()
    indices = torch.int32 if index == 4 else torch.int64
    parts = (stored.values(), stored.crow_indices().to(indices), stored.col_indices().to(indices))
    return sum(part.nbytes for part in parts)


def random_case(seed):
    g = torch.Generator().manual_seed(seed)
    rows, columns = (int(n) for n in torch.randint(1, 9, (2,), generator=g))
    numbers = torch.rand(rows * columns, generator=g, dtype=torch.float64)
    if seed % 3 == 0:
        numbers = numbers.mul(4).round()  # ties
    return {
        "rows": rows,
        "columns": columns,
        "numbers": numbers.tolist(),
        "active": int(torch.randint(1, rows * columns + 1, (1,), generator=g)),
        "index": 4 if seed % 2 else 8,
    }


@pytest.mark.node
def test_masks_and_costs_equal_the_packages_on_200_random_layers():
    cases = [random_case(seed) for seed in range(200)]
    for case, js in zip(cases, run_node("mask_cost", cases), strict=True):
        shape = case["rows"], case["columns"]
        numbers = torch.tensor(case["numbers"], dtype=torch.float64)
        mask = grow(numbers, torch.zeros(len(numbers)), case["active"]).view(shape)
        assert js["mask"] == mask.flatten().tolist()

        model = sparsify(nn.Linear(shape[1], shape[0], bias=False), density=1)
        assert js["costs"]["denseFlops"] == forward_flops(model, (shape[1],))
        model.set_mask(mask)
        assert js["costs"]["flops"] == forward_flops(model, (shape[1],))
        assert js["costs"]["dense"] == model.weight.nbytes
        assert js["costs"]["csr"] == torch_bytes(mask, case["index"])
        assert js["costs"]["csr"] == csr_bytes(mask, case["index"])
        assert js["costs"]["bitmap"] == 4 * case["active"] + (mask.numel() + 7) // 8
        assert js["costs"]["density"] == pytest.approx(case["active"] / mask.numel())


@pytest.mark.node
def test_the_break_even_is_where_torchs_bytes_cross():
    for (rows, columns), index in (((6, 6), 4), ((6, 6), 8), ((1, 1), 4), ((3, 8), 4)):
        size = rows * columns
        case = {"rows": rows, "columns": columns, "numbers": [0] * size, "active": 1}
        (js,) = run_node("mask_cost", [{**case, "index": index}])
        masks = {n: (torch.arange(size) < n).view(rows, columns) for n in range(1, size + 1)}
        fewer = [n for n, mask in masks.items() if torch_bytes(mask, index) < 4 * size]
        assert js["breakEven"] == max(fewer, default=0)


def test_the_words_are_the_packages_counts():
    example = six_by_six()
    words = toys.mask_cost(example).plain
    mask = grow(example.random, torch.zeros(6, 6), 12)
    assert f"the mask is on at {places(mask)}." in words
    assert "takes 30 FLOPs; dense takes 78." in words
    assert "144 bytes if all are stored and 124 bytes as CSR" in words
    assert "WRN-22-2" in words and " ms without for MLP" in words


@pytest.mark.parametrize("active", [0, 37, -1])
def test_a_number_of_weights_that_the_layer_cannot_have_is_refused(active):
    with pytest.raises(ValueError, match=f"active is {active}"):
        toys.mask_cost(six_by_six(), active)
