"""The cost row and the table beside the paper: numbers are the record's, the CSV's, computed."""

import json

import pytest

from rigl_edu.lab import load_records, paper, published_results, table_rows
from rigl_edu.lab.records import RESULTS, record_path
from rigl_edu.teach import cost
from rigl_edu.teach.beside_paper import beside_paper, published
from rigl_edu.teach.full_run import full_run


def test_cost_row_shows_what_was_computed_and_recorded():
    text = repr(cost.cost_row("Static", "RigL"))
    record = json.loads((published_results() / cost.BENCHMARK).read_text())
    dense, static, rigl, note = text.splitlines()[1:]
    assert "1,076,912" in dense and f"{record['step']['WRN-22-2']['dense']['ms']:.0f} ms" in dense
    assert static.split()[1:4] == ["107,691", "0.174", "0.174"]
    assert rigl.split()[1:4] == ["107,691", "0.174", "0.176"]
    assert f"{record['step']['WRN-22-2']['RigL']['ratio']:.2f}" in rigl
    assert record["device"] in note


def test_cost_row_refuses_an_unknown_rule():
    with pytest.raises(ValueError, match=r"\['Rigl'\].*RigL"):
        cost.cost_row("Rigl")


@pytest.mark.parametrize(
    ("method", "density", "text"),
    [
        ("rigl", 0.1, "92.4 ± 0.06"),
        ("set", 0.1, "92.2 ± 0.04"),
        ("dense", 1.0, "93.4 ± 0.07"),
        ("rigl", 0.05, "90.7 ± 0.17*"),
        ("static", 0.05, "–"),
    ],
)
def test_published_is_the_papers(method, density, text):
    assert published(method, density) == text


def test_single_runs_of_the_paper():
    assert paper.seeds("RigL", "ERK", 0.1) == [92.38, 92.50, 92.42]
    assert paper.seeds("Static", "ERK", 0.05) == []


def test_beside_paper_has_our_mean_and_a_link_for_each_record():
    records = [
        r for r in load_records(published_results()) if r["recipe"]["name"].startswith("mini-")
    ]
    rows = table_rows(records)
    html = beside_paper(rows, "https://example.org/main").html
    assert html.count("<a href=") == len(records)
    for record in records:
        name = f"{record['recipe']['name']}__{record['data']['name']}__seed{record['seed']}.json"
        assert f'href="https://example.org/main/data/results/{name}"' in html
        assert (published_results() / name).is_file()
    for row in rows:
        assert f"<td>{row.mean:.2f}" in html and f"<td>{row.data}</td>" in html


def test_chapter_11s_runs_of_the_mini_protocol_are_recorded_three_seeds_each():
    rows = [r for r in table_rows(load_records(published_results())) if r.data == "cifar10-jpeg"]
    seeds = {row.recipe: sorted(row.accuracies) for row in rows}
    for name in (
        "mini-dense",
        *(f"mini-{m}-{d}" for d in ("0.1", "0.05") for m in ("static", "set", "rigl")),
    ):
        assert seeds[name] == [0, 1, 2], name


def test_full_run_puts_the_papers_number_beside_ours_or_says_not_run_yet():
    text = full_run("mini-dense", "wrn22-rigl-0.2-3x")
    lines = repr(text).splitlines()
    (row,) = [r for r in table_rows(load_records(published_results())) if r.recipe == "mini-dense"]
    assert lines[1].startswith("WRN-10-1, dense, 5 epochs")
    assert f"{row.mean:.2f} ± {row.sd:.2f} {row.data}" in lines[1]
    cell = paper.cell("Table2 CIFAR-10", "RigL", "ERK", 0.1)
    assert f"{cell.result} Table 2" in repr(full_run("wrn22-rigl-erk-0.1"))
    for seed in row.accuracies:
        assert record_path(RESULTS, "mini-dense", row.data, seed).as_posix() in text.html
    assert lines[2].endswith("not run yet")
    assert "<code>wrn22-rigl-0.2-3x</code>" in text.html


def test_full_run_says_what_is_doubtful_about_the_papers_number():
    text = full_run("wrn22-set-0.05", "wrn22-set-0.1")
    doubtful, sound = repr(text).splitlines()[1:]
    assert "(seed 1: run collapsed; the value was typed into" in doubtful and "(" in text.html
    assert "collapsed" not in sound and text.html.count("collapsed") == 2  # of two seeds


def test_full_run_refuses_an_unknown_recipe():
    with pytest.raises(KeyError, match="wrn99"):
        full_run("wrn99")
