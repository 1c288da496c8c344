"""The paper's numbers, and that every one of them has its recipe."""

import pytest

from rigl_edu.lab import paper
from rigl_edu.lab.paper import PaperCell, Run, cell, cells
from rigl_edu.lab.recipes import RECIPES

# Recipes of the paper's runs; Table 1's and the beginning of a run are apart.
OURS = [
    recipe
    for name, recipe in RECIPES.items()
    if name.startswith(("wrn22-", "resnet50-")) and not name.endswith(("-50k", "-one-epoch"))
]
REINIT = "RigL re-init from RigL-SM"


def run_of(recipe):
    """The paper's run that a recipe repeats."""
    drawn = recipe.method not in ("dense", "small_dense", "pruning", "lottery")
    return Run(
        {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}[recipe.data],
        REINIT if "reinit" in recipe.name else paper.NAMES[recipe.method],
        {"uniform": "Random", "erk": "ERK", "er": "ER"}[recipe.distribution] if drawn else "-",
        recipe.density,
        recipe.epochs // 250,
        recipe.lr,
        recipe.fraction,
        recipe.every,
    )


def test_the_files_have_all_cells():
    counts = {}
    for source, _ in cells():
        counts[source] = counts.get(source, 0) + 1
    assert counts == {
        "Table1 reproduction": 10,
        "Table1 original": 10,
        "Table2 CIFAR-10": 33,
        "Table3 CIFAR-100": 29,
        "Table4 tuning": 12,
        "Table5 redistribution": 32,
        "Table7 structured": 20,
        "Figure1 CIFAR-10": 45,
        "Figure2 CIFAR-100": 39,
        "Figure3 learning rate": 96,
        "Figure4 equal FLOPs": 12,
    }


def test_every_published_run_has_a_recipe_and_no_recipe_invents_a_number():
    theirs = {run for source, run in cells() if not source.startswith("Table1 ")}
    ours = {run_of(recipe): recipe for recipe in OURS}
    assert len(ours) == len(OURS)
    assert theirs <= set(ours)
    for run, recipe in ours.items():
        assert recipe.paper in [*[c for (_, r), c in cells().items() if r == run], None]
        assert (recipe.paper is None) == (run not in theirs)
    # Below the axis of Figures 1 and 2, or in none of the paper's figures.
    assert sorted(recipe.name for recipe in OURS if recipe.paper is None) == [
        "resnet50-set-erk-0.05",
        "resnet50-set-erk-0.5",
        "resnet50-static-0.05",
        "resnet50-static-erk-0.05",
        "resnet50-static-erk-0.5",
        "wrn22-set-0.05-2x",
        "wrn22-static-0.05",
        "wrn22-static-0.05-2x",
        "wrn22-static-erk-0.05",
    ]


@pytest.mark.parametrize(
    "name, published",
    [
        ("wrn22-dense", ("Table 2", 93.4, 0.07)),
        ("wrn22-small_dense-0.1", ("Table 2", 89.0, 0.35)),
        ("wrn22-pruning-0.2", ("Table 2", 93.2, 0.27)),
        ("wrn22-pruning-0.05", ("Figure 1", 91.88, 0.10)),
        ("wrn22-lottery-0.1", ("Table 2", 90.4, 0.09)),
        ("wrn22-static-0.2", ("Table 2", 91.2, 0.16)),
        ("wrn22-static-erk-0.1", ("Figure 1", 90.38, 0.27)),
        ("wrn22-set-erk-0.2", ("Table 2", 92.9, 0.16)),
        ("wrn22-set-0.1-2x", ("Table 2", 83.3, 15.33)),
        ("wrn22-snfs_reproduced-erk-0.1", ("Table 2", 92.2, 0.2)),
        ("wrn22-rigl-erk-0.1", ("Table 2", 92.4, 0.06)),
        ("wrn22-rigl-0.5", ("Table 4", 93.3, 0.07)),
        ("wrn22-rigl-0.2-3x", ("Table 2", 93.2, 0.2)),
        ("wrn22-rigl-erk-0.0587", ("Figure 4", 91.43, 0.015)),
        ("wrn22-rigl-erk-0.5-lr0.1-a0.287-t500", ("Table 4", 93.8, 0.06)),
        ("wrn22-rigl-erk-0.5-lr0.05-a0.4-t200", ("Figure 3", 93.97, None)),
        ("wrn22-rigl_sg-0.1", ("Table 5", 92.2, 0.17)),
        ("wrn22-rigl_struct-er-0.2", ("Table 7", 91.3, 0.18)),
        ("wrn22-pruning-0.1-50k", ("Table 1", 93.2, None)),
        ("resnet50-dense", ("Table 3", 74.7, 0.38)),
        ("resnet50-rigl-erk-0.1-2x", ("Table 3", 73.6, 0.05)),
        ("resnet50-rigl-0.1-3x", ("Table 3", 73.7, 0.16)),
        ("resnet50-rigl-0.5", ("Figure 4", 74.271, 0.313)),
        ("resnet50-rigl-0.5-3x", ("Figure 2", 74.67, 0.29)),
        ("resnet50-rigl_sm-erk-0.2", ("Table 5", 74.2, 0.13)),
        ("resnet50-rigl_struct-0.1", ("Table 7", 69.1, 0.11)),
        ("wrn22-rigl-reinit-0.1", ("Table 5", 90.3, 0.34)),
        ("resnet50-rigl-reinit-erk-0.2", ("Table 5", 68.9, 0.47)),
    ],
)
def test_the_number_of_a_recipe(name, published):
    found = RECIPES[name].paper
    assert (found.table, found.accuracy, found.sd) == published
    assert found.data == ("CIFAR-10" if name.startswith("wrn22") else "CIFAR-100")


def test_doubtful_numbers_say_so():
    assert "0.31" in RECIPES["wrn22-rigl-0.2"].paper.note
    assert "0.54" in RECIPES["resnet50-rigl-erk-0.1-2x"].paper.note
    assert "LaTeX" in RECIPES["wrn22-rigl-0.1-3x"].paper.note
    assert "jobs used ER" in RECIPES["resnet50-rigl_struct-er-0.1"].paper.note
    assert "seed 2: run collapsed" in RECIPES["wrn22-set-0.05"].paper.note
    assert "collapsed" in RECIPES["wrn22-set-0.1-2x"].paper.note
    assert RECIPES["wrn22-rigl-erk-0.1"].paper.note == ""


def test_most_random_curves_of_figure_3_are_marked_as_erk():
    """All but those with the usual alpha and Delta T have the ERK panel's values, within 0.1."""
    figure = {run: c for (source, run), c in cells().items() if source.startswith("Figure3 ")}
    assert all(c.note.startswith("one run") and c.sd is None for c in figure.values())
    for run, point in figure.items():
        contaminated = run.init == "Random" and (run.alpha, run.delta_t) != (0.3, 100)
        assert ("from ERK masks" in point.note) == contaminated
        if contaminated:
            assert abs(point.accuracy - figure[run._replace(init="ERK")].accuracy) < 0.1


def test_table_1_has_both_columns():
    found = [cell(f"Table1 {who}", "RigL", "ERK", 0.1) for who in ("reproduction", "original")]
    assert [c.result for c in found] == ["93.2", "93.1"]
    for name in [name for name in RECIPES if name.endswith("-50k")]:
        recipe = RECIPES[name]
        assert recipe.paper == cells()["Table1 reproduction", run_of(recipe)]


def test_seeds_behind_a_mean():
    assert paper.seeds("RigL", "ERK", 0.1) == [92.38, 92.5, 92.42]
    assert paper.seeds("Static", "ERK", 0.05) == []
    assert cell("Figure1 CIFAR-10", "RigL", "ERK", 0.1).result == "92.43 ± 0.06"


def test_result_without_a_spread():
    assert PaperCell("Table 1", "CIFAR-10", 94.6, None, "").result == "94.6"


def test_a_cell_that_the_paper_does_not_have():
    with pytest.raises(ValueError, match="no cell .*Static.*ERK"):
        cell("Table2 CIFAR-10", "Static", "ERK", 0.1)
