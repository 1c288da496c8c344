"""Final densities layer by layer, beside the paper's Figure 5."""

from statistics import mean

import pytest

from rigl_edu.lab.cli import main
from rigl_edu.lab.layer_densities import (
    final_densities,
    is_in_figure,
    layer_report,
    paper_densities,
)
from rigl_edu.lab.models import wide_resnet
from rigl_edu.lab.recipes import RECIPES, recipe_fields
from rigl_edu.lab.records import load_records, published_results, write_record
from rigl_edu.sparse import erk, layer_table

SHAPES = {row.name: row.shape for row in layer_table(wide_resnet(22, 2))}
SIZES = {row.name: row.total for row in layer_table(wide_resnet(22, 2))}
LATE = [
    n for n in SIZES if n.startswith("group3") and "shortcut" not in n and n != "group3.0.conv1"
]
GROUP1 = [n for n in SIZES if n.startswith("group1")]
SHORTCUTS = [n for n in SIZES if "shortcut" in n]


def records(method):
    """The committed runs from uniform masks at density 0.1."""
    return [
        r for r in load_records(published_results()) if r["recipe"]["name"] == f"drift-{method}-0.1"
    ]


def test_the_figure_has_the_networks_layers_and_its_density():
    for network, densities in paper_densities().items():
        assert list(densities) == list(SIZES)
        share = sum(densities[n] * SIZES[n] for n in SIZES) / sum(SIZES.values())
        assert share == pytest.approx(0.1, abs=0.004), network
    for name, density in erk(SHAPES, 0.1).items():  # coin flips there, so only about
        assert paper_densities()["erk"][name] == pytest.approx(density, abs=0.02), name


def test_report_worked_by_hand():
    layers = [[0.2, 0.4], [0.1, 0.3]]
    runs = [
        {
            "recipe": recipe_fields(RECIPES["drift-rigl_sm-0.1"]),
            "data": {"name": "d"},
            "precision": "fp32",
            "device": "cpu: test",
            "seed": seed,
            "layers": [
                {"name": n, "density": x[seed]} for n, x in zip(("stem", "z"), layers, strict=True)
            ],
        }
        for seed in (0, 1)
    ]
    assert final_densities(runs) == {"stem": [0.2, 0.4], "z": [0.1, 0.3]}
    lines = [line.split() for line in layer_report(runs).splitlines()]
    assert lines[0] == ["drift-rigl_sm-0.1", "on", "d,", "fp32,", "seeds", "0,", "1"]
    assert lines[2] == ["stem", "0.300", "0.200", "0.400", "1.000"]
    assert lines[3] == ["z", "0.200", "0.100", "0.300", "-"]


@pytest.mark.parametrize("method", ["rigl_sm", "rigl_sg"])
def test_recorded_runs_drift_as_in_figure_5(method):
    """Early layers and 1x1 shortcuts towards 1, late 3x3 layers towards 0.04; in every seed."""
    runs = records(method)
    assert len({run["seed"] for run in runs}) >= 3
    assert {run["data"]["name"] for run in runs} == {"cifar10-jpeg"}
    densities = final_densities(runs)
    for i, run in enumerate(runs):
        assert run["density"] == pytest.approx(0.1, abs=5e-4)
        at = {name: values[i] for name, values in densities.items()}
        assert mean(at[n] for n in GROUP1) > 0.3
        assert mean(at[n] for n in SHORTCUTS) > 0.6
        assert mean(at[n] for n in LATE) < 0.06
        assert at["fc"] > 0.6
        # What the paper's bars have above 0.1 is above it here too, and the other way round.
        for name, paper in paper_densities()[method].items():
            if name != "stem" and abs(paper - 0.1) > 0.05:
                assert (at[name] > 0.1) == (paper > 0.1), name


def test_the_figure_stands_beside_its_own_networks_only():
    shown = {name for name, recipe in RECIPES.items() if is_in_figure(recipe_fields(recipe))}
    assert shown == {f"{run}-{m}-0.1" for run in ("wrn22", "drift") for m in ("rigl_sg", "rigl_sm")}


def test_unlike_records_are_not_averaged(capsys, tmp_path):
    alone = records("rigl_sm")[0]
    together = {**alone, "seed": 7, "device": "2 x cpu: test"}
    old = {**alone, "seed": 8, "recipe_fingerprint": "0" * 64}
    for record in (alone, together, old):
        write_record(record, tmp_path)
    assert main(["layers", "drift-rigl_sm-0.1", "--out", str(tmp_path)]) == 0
    heads = [line for line in capsys.readouterr().out.splitlines() if "seeds" in line]
    assert [head.partition("cifar10-jpeg, ")[2] for head in heads] == [
        "fp32, seeds 0",
        "fp32, 2 processes, seeds 7",
        "fp32, seeds 8",
    ]


def test_command_prints_them(capsys):
    assert main(["layers", "drift-rigl_sm-0.1", "--out", str(published_results())]) == 0
    assert "group3.2.conv2" in capsys.readouterr().out
