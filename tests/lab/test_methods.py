"""Each method as the lab starts it: masks, rule, cost."""

from dataclasses import replace

import pytest
import torch

from rigl_edu.lab.data import load
from rigl_edu.lab.methods import train_flops
from rigl_edu.lab.recipes import METHODS, RECIPES, THIN, TICKETS, smoke
from rigl_edu.lab.records import read_record
from rigl_edu.lab.run import run
from rigl_edu.lab.train import make_job
from rigl_edu.sparse import Rule, density, layer_table, masked_layers

MINI = RECIPES["mini-rigl-0.1"]
# int(c sqrt(0.2)) of 16, 16, 32 and 64 channels is 7, 7, 14 and 28. First layer, the three blocks
# (two 3x3 convolutions, a 1x1 shortcut where the width changes), the classifier.
SMALL = 27 * 7 + (2 * 9 * 7 * 7) + (9 * 7 * 14 + 9 * 14 * 14 + 7 * 14)
SMALL += (9 * 14 * 28 + 9 * 28 * 28 + 14 * 28) + 28 * 10


def recipe_for(method):
    return replace(
        smoke(MINI),
        method=method,
        density=1.0 if method == "dense" else 0.2,
        ticket_of="mini-pruning-0.2" if method in TICKETS + THIN else "",
    )


@pytest.fixture(scope="module")
def data():
    return load("digits-3x32x32").head(40, 16)


# Tickets and thin networks start from another run, see test_recipes and test_tickets.
@pytest.mark.parametrize("method", [m for m in METHODS if m not in TICKETS + THIN])
def test_first_masks_have_the_methods_density(method, data, tmp_path):
    job = make_job(recipe_for(method), 0, data, tmp_path / "none.pt")
    unmasked = method in ("dense", "small_dense")
    assert bool(masked_layers(job.model)) == (not unmasked)
    assert isinstance(job.rule, Rule) == (not unmasked)
    expected = 1.0 if unmasked or method == "pruning" else 0.2
    assert density(job.model) == pytest.approx(expected, abs=2e-3)
    weights = sum(row.total for row in layer_table(job.model))
    assert weights == (SMALL if method == "small_dense" else 77_360)


def test_snip_keeps_the_highest_scores_and_leaves_the_rest_as_it_was(data, tmp_path):
    static = make_job(recipe_for("static"), 3, data, tmp_path / "none.pt")
    after_static = torch.get_rng_state()
    snip = make_job(recipe_for("snip"), 3, data, tmp_path / "none.pt")
    assert torch.equal(torch.get_rng_state(), after_static)
    for name, buffer in static.model.named_buffers():
        if not name.endswith("mask"):
            assert torch.equal(buffer, snip.model.get_buffer(name)), name
    assert all(p.grad is None for p in snip.model.parameters())
    total = sum(layer.mask.numel() for layer in masked_layers(snip.model).values())
    active = sum(layer.active for layer in masked_layers(snip.model).values())
    assert active == round(0.2 * total)


def test_a_small_dense_run_is_compared_with_the_whole_network(data, tmp_path):
    record = read_record(run(recipe_for("small_dense"), 0, data, tmp_path, tmp_path / "c.pt"))
    assert record["weights"] == 77_360 and record["active_weights"] == SMALL
    assert record["density"] == pytest.approx(SMALL / 77_360)
    assert record["train_flops_ratio"] == pytest.approx(
        record["forward_flops"] / record["dense_forward_flops"]
    )
    assert record["train_flops_ratio"] < 0.25


def test_a_small_dense_network_is_never_channels_last_on_a_cpu(data, tmp_path):
    """Its narrow 1x1 shortcuts would crash the process, see `memory_format`."""
    assert MINI.channels_last
    small = make_job(recipe_for("small_dense"), 0, data, tmp_path / "none.pt").model
    dense = make_job(recipe_for("dense"), 0, data, tmp_path / "none.pt").model
    convs = [p for p in small.parameters() if p.ndim == 4 and p.shape[2] == 3]
    assert convs and all(p.is_contiguous() for p in convs)
    convs = [p for p in dense.parameters() if p.ndim == 4 and p.shape[2] == 3]
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in convs)


def test_a_pruning_run_ends_at_its_density_and_pays_for_the_way(data, tmp_path):
    record = read_record(run(recipe_for("pruning"), 0, data, tmp_path, tmp_path / "c.pt"))
    assert record["active_weights"] == round(0.2 * record["weights"])
    ends = [row["forward_flops"] for row in record["curve"]]
    mean = (record["dense_forward_flops"] + sum(ends)) / (1 + len(ends))
    assert record["train_flops"] == pytest.approx(3 * mean)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("dense", 3 * 100),
        ("small_dense", 3 * 30),
        ("static", 3 * 30),
        ("set", 3 * 30),
        ("snip", 3 * 30),
        ("rigl", (3 * 30 * 3 + 2 * 30 + 100) / 4),
        ("rigl_struct", (3 * 30 * 3 + 2 * 30 + 100) / 4),
        ("rigl_sg", (3 * 20 * 3 + 2 * 20 + 100) / 4),
        ("rigl_sm", (3 * 20 * 3 + 2 * 20 + 100) / 4),
        ("snfs", 2 * 20 + 100),
        ("snfs_reproduced", 2 * 20 + 100),
        ("dsr", 3 * 20),
        ("lottery", 3 * 20 + 3 * 30),
        ("pruning", 3 * 20),
        *[(method, 3 * (10 + 20 + 30)) for method in (*TICKETS[1:], *THIN)],
    ],
)
def test_training_cost_worked_by_hand(method, expected):
    """f_s 30 at the end, f_d 100, the readings' mean 20 and sum 60, a rewiring every 3 steps."""
    assert recipe_for(method).every == 3
    assert train_flops(recipe_for(method), 30, 100, [10, 20, 30]) == pytest.approx(expected)


def test_the_table_of_costs_has_every_method():
    cases = test_training_cost_worked_by_hand.pytestmark[0].args[1]
    assert {case[0] for case in cases} == set(METHODS)
