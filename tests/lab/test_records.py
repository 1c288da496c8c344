import json
import statistics
import subprocess

import pytest

from rigl_edu.lab import records, tables
from rigl_edu.lab.data import load
from rigl_edu.lab.recipes import RECIPES, recipe_fields, smoke
from rigl_edu.lab.run import commit, run


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    out = tmp_path_factory.mktemp("records")
    path = run(smoke(RECIPES["mini-set-0.1"]), 0, load("digits-3x32x32"), out, out / "c.pt")
    return records.read_record(path)


def changed(record, **changes):
    """A copy with some keys changed; `recipe` and `data` are updated, not replaced."""
    copy = json.loads(json.dumps(record))
    for key, value in changes.items():
        if isinstance(value, dict):
            copy[key].update(value)
        else:
            copy[key] = value
    return copy


def test_round_trip(real, tmp_path):
    path = records.write_record(real, tmp_path)
    assert path.name == "mini-set-0.1-smoke__digits-3x32x32__seed0.json"
    assert records.read_record(path) == real
    assert records.load_records(tmp_path) == [real]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_record_says_what_happened(real):
    assert set(real) == set(records.KEYS)
    assert real["recipe"] == recipe_fields(smoke(RECIPES["mini-set-0.1"]))
    assert real["active_weights"] == sum(layer["active"] for layer in real["layers"])
    assert real["density"] == real["active_weights"] / real["weights"]
    assert real["train_flops"] == 3 * real["forward_flops"]
    assert real["versions"].keys() >= {"python", "torch", "torchvision", "numpy", "rigl_edu"}
    assert len(real["data"]["fingerprint"]) == 64


def test_a_record_of_several_processes_leaves_that_of_one_alone(real, tmp_path):
    together = changed(real, device="2 x cuda: NVIDIA H100")
    paths = [records.write_record(record, tmp_path) for record in (real, together)]
    assert paths[1].name == f"{paths[0].stem}__2processes.json"
    assert records.load_records(tmp_path) == [real, together]
    rows = tables.table_rows([real, together])
    assert [tables.cells(row)[2] for row in rows] == ["fp32", "fp32, 2 processes"]


def test_no_directory_no_records(tmp_path):
    assert records.load_records(tmp_path / "none") == []


@pytest.mark.parametrize("schema", [0, 2, "1", None])
def test_a_record_of_another_schema(real, tmp_path, schema):
    path = tmp_path / "old.json"
    path.write_text(json.dumps(changed(real, schema=schema)))
    with pytest.raises(ValueError, match=f"old.json has schema {schema!r}; this version reads 1"):
        records.load_records(tmp_path)


@pytest.mark.parametrize(
    "content, words",
    [
        ("{", "is not JSON"),
        ("[1]", "is not a run record"),
        ("{}", "it has no 'schema'; expected 1"),
        ('{"schema": 1, "seed": 0}', "lacks command, finished"),
    ],
)
def test_files_that_are_no_records(tmp_path, content, words):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="bad.json.*" + words):
        records.read_record(path)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"seed": "0"}, "seed is '0'; expected int"),
        ({"test_accuracy": None}, "test_accuracy is None; expected float"),
        ({"commit": 5}, "commit is 5; expected str or NoneType"),
    ],
)
def test_wrong_types(real, tmp_path, change, words):
    with pytest.raises(ValueError, match=words):
        records.write_record(changed(real, **change), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_key_of_data_is_missing(real, tmp_path):
    bad = changed(real)
    del bad["data"]["fingerprint"]
    with pytest.raises(ValueError, match="lacks data.fingerprint"):
        records.check_record(bad, tmp_path)


# --- tables ------------------------------------------------------------------------------------


def test_mean_and_sample_deviation_over_seeds(real):
    accuracies = (91.0, 92.5, 92.0)
    runs = [changed(real, seed=s, test_accuracy=a) for s, a in enumerate(accuracies)]
    (row,) = tables.table_rows(reversed(runs))
    assert row.accuracies == {0: 91.0, 1: 92.5, 2: 92.0}
    assert list(row.accuracies) == [0, 1, 2]
    assert row.mean == pytest.approx(91.8333, abs=1e-4)
    assert row.sd == pytest.approx(statistics.stdev(accuracies))
    assert "91.83 ± 0.76" in tables.text_table([row])


def test_training_twice_as_long_costs_twice_as_much(real):
    """Records count FLOPs a sample; tables compare with dense training of the usual length."""
    for name, times in (("a", 1), ("a-2x", 2), ("a-3x-fast", 3), ("a-2xl", 1)):
        (row,) = tables.table_rows([changed(real, recipe={"name": name})])
        assert row.train_flops_ratio == pytest.approx(times * real["train_flops_ratio"])


def test_one_seed_has_no_deviation(real):
    (row,) = tables.table_rows([changed(real, test_accuracy=50.0)])
    assert row.sd is None
    assert tables.cells(row)[5] == "50.00"


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"name": "cifar10-jpeg"}},
        {"data": {"fingerprint": "0" * 64}},
        {"precision": "bf16"},
        {"device": "2 x cuda: NVIDIA H100"},
        {"recipe": {"name": "mini-rigl-0.1"}},
        {"recipe_fingerprint": "0" * 64},
    ],
)
def test_different_things_are_never_averaged(real, change):
    rows = tables.table_rows([real, changed(real, seed=1, **change)])
    assert len(rows) == 2 and all(len(row.accuracies) == 1 for row in rows)


def test_one_seed_twice_is_an_error(real):
    with pytest.raises(ValueError, match=r"one seed; the seeds are \[0, 0\]"):
        tables.table_rows([real, real])


def test_the_papers_number_stands_beside_with_its_data_and_doubts(real):
    fields = recipe_fields(RECIPES["wrn22-rigl-0.2"])
    (row,) = tables.table_rows([changed(real, recipe=fields)])
    paper = tables.cells(row)[-1]
    assert paper.startswith("92.6 ± 0.1 (Table 2, CIFAR-10; seeds in Fig1 give sd 0.31")


def test_formats(real):
    rows = tables.table_rows([changed(real, recipe={"name": "a<b"})])
    text, markdown = tables.text_table(rows).splitlines(), tables.markdown_table(rows).splitlines()
    assert len(text) == len(markdown) == 3
    assert all(line.count("|") == len(tables.HEADER) + 1 for line in markdown)
    page = tables.html_table(rows)
    assert '<th scope="row">a&lt;b</th>' in page and "a<b" not in page
    assert page.count("<td>") == len(tables.HEADER) - 1


# --- where the code came from --------------------------------------------------------------------


def make_repository(path):
    def git(*args):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", "-C", path, *who, *args], check=True, capture_output=True)

    (path / "__init__.py").write_text("")
    git("init")
    git("add", ".")
    git("commit", "-m", "one", "--no-verify")
    return git


def test_commit_and_its_dirty_mark(tmp_path):
    make_repository(tmp_path)
    clean = commit(tmp_path)
    assert clean is not None and len(clean) == 40
    for unrelated in ("notes.txt", "teach/page.py"):
        (tmp_path / unrelated).parent.mkdir(exist_ok=True)
        (tmp_path / unrelated).write_text("new")
        assert commit(tmp_path) == clean
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "new.py").write_text("x = 1\n")
    assert commit(tmp_path) == clean + "-dirty"


def test_commit_outside_git_and_in_anothers_repository(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    assert commit(outside) is None
    make_repository(tmp_path)
    installed = tmp_path / "site-packages"
    installed.mkdir()
    (installed / "__init__.py").write_text("")  # lies in a repository that does not track it
    assert commit(installed) is None


def test_commit_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit(tmp_path) is None


def test_a_record_without_its_recipe_s_name(real, tmp_path):
    broken = json.loads(json.dumps(real))
    del broken["recipe"]["name"]
    path = tmp_path / "nameless.json"
    path.write_text(json.dumps(broken))
    with pytest.raises(ValueError, match="nameless.json: its recipe lacks name"):
        records.load_records(tmp_path)
