"""Numbers of the papers and of their fact sheets, recomputed by the package."""

from math import prod

import pytest

from rigl_edu.lab.models import wide_resnet
from rigl_edu.sparse import (
    active_counts,
    density,
    erk,
    forward_flops,
    layer_table,
    pruning_flops,
    rigl_flops,
    snfs_flops,
    sparsify,
    static_flops,
)

IMAGE = (3, 32, 32)
WEIGHTS, PARAMETERS, FLOPS = 1_076_912, 1_079_642, 315_460_224

# Reproduction's calculation, share of the dense cost (3 f_d in training). Its masks are coin flips
# and its print-out has three to four digits; ours are exact, so 0.0005 is ample.
TABLE = [
    # distribution, density, forward, RigL's training at Delta T = 100, SNFS's at the first masks
    ("uniform", 0.05, 0.0527, 0.0558, 0.368),
    ("uniform", 0.1, 0.1025, 0.1055, 0.402),
    ("uniform", 0.2, 0.2022, 0.2049, 0.468),
    ("uniform", 0.5, 0.5014, 0.5030, 0.668),
    ("er", 0.05, 0.0887, None, None),
    ("er", 0.1, 0.1759, None, None),
    ("er", 0.2, 0.3496, None, None),
    ("er", 0.5, 0.7270, None, None),
    ("erk", 0.05, 0.0881, 0.0911, 0.392),
    ("erk", 0.1, 0.1735, 0.1763, 0.449),
    ("erk", 0.2, 0.3521, 0.3542, 0.568),
    ("erk", 0.5, 0.7282, 0.7291, 0.819),
]


def test_wrn_22_2_has_the_published_size_and_cost():
    model = wide_resnet(22, 2)
    assert sum(row.total for row in layer_table(model)) == WEIGHTS
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS
    assert forward_flops(model, IMAGE) == FLOPS
    assert len(layer_table(model)) == 23


@pytest.mark.parametrize(("distribution", "d", "forward", "rigl", "snfs"), TABLE)
def test_costs_of_wrn_22_2(distribution, d, forward, rigl, snfs):
    model = sparsify(wide_resnet(22, 2), d, distribution)
    f_s = forward_flops(model, IMAGE)
    assert f_s / FLOPS == pytest.approx(forward, abs=5e-4)
    assert forward_flops(model, IMAGE, dense=True) == FLOPS
    if rigl is not None:
        assert rigl_flops(f_s, FLOPS, 100) / (3 * FLOPS) == pytest.approx(rigl, abs=5e-4)
        assert snfs_flops(f_s, FLOPS) / (3 * FLOPS) == pytest.approx(snfs, abs=1e-3)
    assert static_flops(f_s) == pruning_flops(f_s) == 3 * f_s


@pytest.mark.parametrize("distribution", ["er", "erk"])
@pytest.mark.parametrize("d", [0.01, 0.05, 0.1, 0.2, 0.5, 0.9, 1.0])
def test_er_and_erk_hit_the_global_density_to_the_weight(distribution, d):
    model = sparsify(wide_resnet(22, 2), d, distribution)
    assert sum(row.active for row in layer_table(model)) == round(d * WEIGHTS)
    assert density(model) == round(d * WEIGHTS) / WEIGHTS


def test_uniform_keeps_the_stem_and_gives_each_other_layer_its_density():
    rows = layer_table(sparsify(wide_resnet(22, 2), 0.1, "uniform"))
    assert rows[0].active == rows[0].total == 432
    assert sum(row.active for row in rows[1:]) == round(0.1 * (WEIGHTS - 432))
    for row in rows[1:]:
        assert abs(row.active - 0.1 * row.total) < 1


SHORTCUTS = {n: f"group{n}.0.shortcut" for n in (1, 2, 3)}
GROUP1 = {f"group1.{block}.conv{n}" for block in (0, 1, 2) for n in (1, 2)}
OVERFLOW = {
    0.05: {"stem", SHORTCUTS[1], "fc"},
    0.1: {"stem", SHORTCUTS[1], SHORTCUTS[2], "fc"},
    0.2: {"stem", *SHORTCUTS.values(), "fc"},
    0.5: {"stem", *SHORTCUTS.values(), "fc", *GROUP1, "group2.0.conv1"},
}


@pytest.mark.parametrize("d", OVERFLOW)
def test_trap_24_erk_layers_that_overflow(d):
    """Trap 24: layers above density 1 become dense and the others are solved for again."""
    rows = layer_table(sparsify(wide_resnet(22, 2), d, "erk"))
    assert {row.name for row in rows if row.active == row.total} == OVERFLOW[d]


ERK_DENSITIES = {
    0.1: {
        "group1.0.conv1": 0.421,
        "group1.1.conv1": 0.273,
        "group2.0.conv1": 0.199,
        "group2.2.conv2": 0.131,
        "group3.0.conv1": 0.0965,
        "group3.0.shortcut": 0.851,
        "group3.2.conv2": 0.0638,
    },
    0.2: {
        "group1.0.conv1": 0.886,
        "group1.1.conv1": 0.574,
        "group2.0.conv1": 0.418,
        "group2.2.conv2": 0.275,
        "group3.0.conv1": 0.203,
        "group3.0.shortcut": 1.0,
        "group3.2.conv2": 0.134,
    },
}


@pytest.mark.parametrize("d", ERK_DENSITIES)
def test_erk_densities_layer_by_layer(d):
    rows = {row.name: row for row in layer_table(sparsify(wide_resnet(22, 2), d, "erk"))}
    for name, expected in ERK_DENSITIES[d].items():
        assert rows[name].density == pytest.approx(expected, abs=6e-4), name


# ResNet-50 as the reproduction trained it on CIFAR-100, as shapes alone.
def resnet50_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"stem": (64, 3, 3, 3)}
    fan_in = 64
    for stage, (blocks, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), 2):
        for b in range(blocks):
            shapes[f"conv{stage}.{b}.a"] = (width, fan_in, 1, 1)
            shapes[f"conv{stage}.{b}.b"] = (width, width, 3, 3)
            shapes[f"conv{stage}.{b}.c"] = (4 * width, width, 1, 1)
            if b == 0:
                shapes[f"conv{stage}.{b}.shortcut"] = (4 * width, fan_in, 1, 1)
            fan_in = 4 * width
    shapes["fc"] = (100, 2048)
    return shapes


def test_erk_on_resnet_50():
    shapes = resnet50_shapes()
    assert len(shapes) == 54
    assert sum(prod(shape) for shape in shapes.values()) == 23_652_032
    full = {d: {n for n, x in erk(shapes, d).items() if x == 1} for d in (0.05, 0.1, 0.2, 0.5)}
    conv2 = {n for n in shapes if n.startswith("conv2")}
    ones = {n for n in shapes if shapes[n][2:] == (1, 1)}
    assert full[0.05] == set()
    assert full[0.1] == {"stem", "conv2.0.a"}
    assert full[0.2] == {"stem", "conv3.0.a"} | (conv2 & ones)
    conv3_ones = {n for n in ones if n.startswith("conv3")}
    conv4_ones = {n for n in ones if n.startswith("conv4") and "shortcut" not in n}
    assert full[0.5] == {"stem", "fc"} | conv2 | conv3_ones | conv4_ones
    at = erk(shapes, 0.1)
    measured = [at[f"conv{stage}.1.b"] for stage in (2, 3, 4, 5)]
    assert measured == pytest.approx([0.167, 0.082, 0.040, 0.020], abs=6e-4)
    assert at["fc"] == pytest.approx(0.483, abs=6e-4)
    for d in full:
        counts = active_counts(shapes, erk(shapes, d))
        assert sum(counts.values()) == round(d * 23_652_032)


def test_rigl_costs_a_little_more_than_static_and_snfs_a_dense_gradient():
    assert rigl_flops(10.0, 100.0, 1) == (3 * 10 + 2 * 10 + 100) / 2
    assert rigl_flops(10.0, 100.0, 100) == pytest.approx((30 * 100 + 20 + 100) / 101)
    assert snfs_flops(10.0, 100.0) == 120
    assert rigl_flops(100.0, 100.0, 7) == pytest.approx(300)  # dense: as dense training
