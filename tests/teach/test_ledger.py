"""The ledger on a page: its cells, its picture, its links."""

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402
import pytest  # noqa: E402

from rigl_edu.lab.claims import Entry, ledger  # noqa: E402
from rigl_edu.lab.paper_claims import TOPICS, load_claims  # noqa: E402
from rigl_edu.lab.recipes import RECIPES, recipe_fields, recipe_fingerprint  # noqa: E402
from rigl_edu.lab.verdict import Sample  # noqa: E402
from rigl_edu.teach import ledger as page  # noqa: E402

CLAIM = next(c for c in load_claims() if c.sentence == "RigL surpasses SET, ERK masks")


def entry(first, second, whose="mini", **changes):
    """An entry of three seeds a side with a spread of 0.1, at density 0.1."""
    sides = [None if mean is None else Sample(3, mean, 0.1) for mean in (first, second)]
    missing = ("mini-set-0.1",) if second is None else ()
    made = Entry(CLAIM, "CIFAR-10", 0.1, whose, "cifar10-jpeg", "fp32", ("cpu",), *sides, missing)
    return Entry(**{**vars(made), **changes})


def records(name, *accuracies):
    recipe = RECIPES[name]
    return [
        {
            "recipe": recipe_fields(recipe),
            "recipe_fingerprint": recipe_fingerprint(recipe),
            "seed": seed,
            "test_accuracy": accuracy,
            "data": {"name": "cifar10-jpeg", "fingerprint": "f"},
            "precision": "fp32",
            "device": "cpu: test",
            "density": 0.1,
            "train_flops_ratio": 0.1,
            "wall_seconds": 60.0,
        }
        for seed, accuracy in enumerate(accuracies)
    ]


def test_every_topic_has_a_table_with_its_claims_and_the_papers_verdicts():
    entries = ledger([])
    for topic in TOPICS:
        html = page.ledger_table(entries, topic).html
        mine = [e for e in entries if e.claim.topic == topic]
        rows = {(e.claim.sentence, e.dataset) for e in mine}
        assert html.count('<th scope="row">') == len(rows)
        judged = [e for e in mine if e.whose == "paper"]
        assert html.count("white-space:nowrap") == len(judged)
        for e in judged:
            assert f"{e.density:g}: {' '.join(page.result(e))}</div>" in html


def test_a_cell_of_ours_names_its_data_and_a_cell_of_the_papers_does_not():
    mine, theirs = page.cell([entry(63.0, 61.0)]), page.cell([entry(63.0, 61.0, "paper")])
    line = '<div style="white-space:nowrap">0.1: +2.00 ± 0.17 holds</div>'
    assert mine == f'<div style="white-space:nowrap">mini, cifar10-jpeg, fp32</div>{line}'
    assert theirs == line


def test_two_data_sets_stand_under_their_names():
    cell = page.cell([entry(63.0, 61.0), entry(80.0, 81.0, data="cifar10")])
    assert cell.index("cifar10-jpeg, fp32") < cell.index("holds") < cell.index("cifar10, fp32")
    assert cell.endswith("0.1: -1.00 ± 0.17 does not hold</div>")


def test_runs_on_several_processes_stand_apart():
    cell = page.cell([entry(63.0, 61.0), entry(64.0, 63.0, processes=2)])
    alone, together = cell.split("mini, cifar10-jpeg, fp32, 2 processes")
    assert "+2.00" in alone and "+1.00" in together and "+1.00" not in alone


def test_a_cell_that_was_not_run_folds_the_command_away():
    cell = page.cell([entry(63.0, None)])
    command = "python -m rigl_edu run mini-set-0.1 --data data/cifar10-jpeg"
    assert cell == f"<details><summary>mini: not run yet</summary><code>{command}</code></details>"
    assert page.cell([]) == ""


def test_the_whole_ledger_is_folded_and_holds_every_entry():
    entries = [entry(63.0, 61.0), entry(63.0, None, density=0.05)]
    shown = page.whole_ledger(entries)
    assert shown.html.startswith("<details><summary>All 2 entries")
    assert "63.00 ± 0.10 (3)" in shown.html and shown.html.count('<th scope="row">') == 2


def test_the_plain_text_has_a_line_for_each_entry():
    entries = [e for e in ledger([]) if e.claim.topic == "tuning"]
    assert len(page.ledger_table(entries, "tuning").plain.splitlines()) == len(entries)


@pytest.mark.parametrize(
    ("second", "marker", "face"),
    [(61.0, "o", page.BLUE), (63.0, "o", "white"), (65.0, "X", page.ORANGE)],
)
def test_verdicts_have_marks_of_their_own(second, marker, face):
    ax = page.draw_intervals([entry(63.0, second)], plt.subplots()[1], reach=4.0)
    interval, dot = ax.lines[:2]
    assert (dot.get_marker(), dot.get_markerfacecolor()) == (marker, face)
    assert list(dot.get_xdata()) == [63.0 - second]
    middle = (interval.get_xdata()[0] + interval.get_xdata()[1]) / 2
    assert middle == pytest.approx(63.0 - second)
    plt.close("all")


def test_the_pale_bar_is_the_claims_region_and_what_was_not_run_is_left_out():
    equal = next(c for c in load_claims() if c.relation == "matches")
    shown = [entry(63.0, 61.0), entry(63.0, None), entry(63.0, 62.9, claim=equal)]
    ax = page.draw_intervals(shown, plt.subplots()[1], reach=2.0)
    bars = [(bar.get_x(), bar.get_width()) for bar in ax.patches]
    assert bars == [(0.0, 2.0), (-0.5, 1.0)]
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels[0] == "RigL, ERK masks - SET, ERK masks, 0.1" and len(labels) == 2
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first claim is on top
    plt.close("all")


def test_links_lead_to_todays_records():
    old = [{**r, "recipe_fingerprint": "0"} for r in records("mini-set-0.1", 60.0)]
    made = [*records("mini-rigl-0.1", 63.0, 64.0), *old, *records("wrn22-dense", 94.0)]
    shown = page.record_links(made, "mini-", "https://example.org/main")
    assert shown.html.startswith("<details><summary>2 records of 1 recipes</summary>")
    assert shown.html.count("<a href=") == 2
    file = "data/results/mini-rigl-0.1__cifar10-jpeg__seed1.json"
    assert f'<a href="https://example.org/main/{file}">1</a>' in shown.html
    assert "63.50 ± 0.71" in shown.plain and "mini-set-0.1" not in shown.plain
