"""The project around the code: requirements, address, imports, wheel, lint."""

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "rigl_edu"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
ADDRESS = PROJECT["urls"]["Repository"]
EXTRAS = PROJECT["optional-dependencies"]

# What Colab's image of 2026-08-19 holds, from the freeze file in googlecolab/backend-info.
COLAB_PYTHON = "3.13.15"
COLAB = {
    "torch": "2.11.0",
    "torchvision": "0.26.0",
    "numpy": "2.1.3",
    "matplotlib": "3.10.0",
    "seaborn": "0.13.2",
    "ipywidgets": "7.7.1",
    "scikit-learn": None,  # there, its version was not noted
    "tqdm": None,
}


def text_files() -> list[Path]:
    """Every text file of the project: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    files = [ROOT / name for name in listed if (ROOT / name).is_file()]
    return [path for path in files if b"\0" not in path.read_bytes()[:4096]]


needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")


def run(*command: str, **options) -> str:
    """Run a command in the repository; its output, or a failure that shows it."""
    options = {"cwd": ROOT, "capture_output": True, "text": True, **options}
    done = subprocess.run(command, **options)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


# Lint


def test_ruff_finds_nothing():
    run(sys.executable, "-m", "ruff", "check", ".")


def test_ruff_would_format_nothing():
    run(sys.executable, "-m", "ruff", "format", "--check", ".")


def test_mypy_finds_nothing():
    run(sys.executable, "-m", "mypy")


# Requirements


def test_environment_yml_equals_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert conda == [f"python{PROJECT['requires-python']}", "pip"]
    assert pip == [*PROJECT["dependencies"], *EXTRAS["book"], *EXTRAS["test"], "-e ."]


@pytest.mark.parametrize("text", PROJECT["dependencies"])
def test_colab_satisfies_every_requirement(text):
    requirement = Requirement(text)
    assert requirement.name in COLAB, f"{requirement.name} is not known to be in Colab"
    assert {s.operator for s in requirement.specifier} == {">="}, "lower bounds only"
    version = COLAB[requirement.name]
    assert version is None or requirement.specifier.contains(version)


def test_colab_python_is_new_enough():
    assert SpecifierSet(PROJECT["requires-python"]).contains(COLAB_PYTHON)


def test_extras_bound_only_jupyter_book_from_above():
    bounded = [
        text
        for text in EXTRAS["book"] + EXTRAS["test"]
        if {s.operator for s in Requirement(text).specifier} != {">="}
    ]
    assert [Requirement(text).name for text in bounded] == ["jupyter-book"]


# One address, one version


def test_config_and_citation_name_the_address():
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert config["repository"]["url"] == ADDRESS
    assert citation["repository-code"] == ADDRESS


@needs_git
def test_every_address_of_this_repository_is_the_one():
    name = ADDRESS.rsplit("/", 1)[1]
    owner_and_name = ADDRESS.removeprefix("https://github.com/")
    pattern = re.compile(rf"(?:github\.com|research\.google\.com/github)/([\w.-]+/{name})(?![\w-])")
    found = {
        (path.relative_to(ROOT).as_posix(), match)
        for path in text_files()
        for match in pattern.findall(path.read_text("utf-8"))
    }
    assert found, "no file names the repository, so the pattern is wrong"
    assert {pair for pair in found if pair[1].removesuffix(".git") != owner_and_name} == set()


def test_readme_has_a_colab_badge_for_every_notebook():
    readme = (ROOT / "README.md").read_text("utf-8")
    prefix = ADDRESS.replace("github.com", "colab.research.google.com/github")
    linked = set(re.findall(rf"{re.escape(prefix)}/blob/main/(book/\w+\.ipynb)", readme))
    assert linked == {f"book/{path.stem}.ipynb" for path in (ROOT / "pages").glob("*.md")}


def test_versions_agree():
    import rigl_edu

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == PROJECT["version"] == rigl_edu.__version__


# Imports


def imported(path: Path) -> set[str]:
    """Absolute names of the modules a file of the package imports, wherever it does."""
    package = ["rigl_edu", *path.relative_to(PACKAGE).parent.parts]
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("sparse/**/*.py")), ids=lambda p: p.stem)
def test_sparse_imports_torch_numpy_and_itself_only(path):
    allowed = {"torch", "numpy", "__future__"} | set(sys.stdlib_module_names)
    strangers = {
        name
        for name in imported(path)
        if name.split(".")[0] not in allowed and not within(name, "rigl_edu.sparse")
    }
    assert strangers == set()


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("lab/**/*.py")), ids=lambda p: p.stem)
def test_lab_does_not_import_teach(path):
    assert not [name for name in imported(path) if within(name, "rigl_edu.teach")]


def test_import_graph_is_read_right():
    face = imported(PACKAGE / "__init__.py")
    assert "rigl_edu.sparse.RigL" in face and "rigl_edu.sparse" in face


def test_import_loads_nothing_heavy():
    heavy = {"matplotlib", "pandas", "sklearn", "torchvision", "seaborn", "scipy", "PIL", "tqdm"}
    heavy |= {"IPython", "ipywidgets", "rigl_edu.lab", "rigl_edu.teach"}
    code = (
        "import sys, torch, numpy; before = set(sys.modules); import rigl_edu;"
        "print(*set(sys.modules) - before)"
    )
    added = run(sys.executable, "-c", code).split()
    assert "rigl_edu" in added
    assert heavy.isdisjoint(added)


# The wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run(*pip, "--wheel-dir", str(folder), str(ROOT))
    (path,) = folder.glob("*.whl")
    return path


def test_wheel_is_small_and_pure(wheel):
    assert wheel.name == f"rigl_edu-{PROJECT['version']}-py3-none-any.whl"
    assert wheel.stat().st_size < 1_000_000


def test_wheel_holds_the_package_and_the_records(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    results = ROOT / "data" / "results"
    records = {
        f"rigl_edu/lab/results/{path.relative_to(results).as_posix()}"
        for path in results.rglob("*.json")
    }
    assert records
    assert names == ours | records


def test_wheel_installs_and_imports_by_itself(wheel, tmp_path):
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    run(*pip, "--target", str(tmp_path), str(wheel))
    code = (
        "import rigl_edu; print(rigl_edu.__file__); from rigl_edu import lab; "
        "print(len(lab.load_records(lab.published_results())))"
    )
    # An entry of PYTHONPATH stands before an editable install.
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    where, records = run(sys.executable, "-c", code, env=environment, cwd=tmp_path).split()
    assert Path(where).parent.parent == tmp_path
    assert int(records) == len(list((ROOT / "data" / "results").glob("*.json")))


# Nothing of one machine in the files


@needs_git
def test_no_file_names_a_machine():
    roots = "|".join(["home", "root", "tmp", "opt", "work", "Users", "mnt"])
    machine_path = re.compile(rf"(?<![\w.:/<~-])/(?:{roots})/\w[\w.-]*")
    hosts = re.compile("|".join([r"pypi\.org", r"pythonhosted", r"registry\.npm", r"deb\.debian"]))
    here = Path(__file__).resolve()
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in text_files()
        if path != here
        for pattern in (machine_path, hosts)
        for match in pattern.finditer(path.read_text("utf-8"))
    ]
    assert found == []
    assert not [p for p in text_files() if str(ROOT) in p.read_text("utf-8")]


def test_the_speeds_in_the_readme_are_the_records():
    record = json.loads((ROOT / "data/results/benchmarks/compressed-cpu.json").read_text("utf-8"))
    readme = (ROOT / "README.md").read_text("utf-8")
    for density, row in record["training"].items():
        megabytes = f"{row['bytes'] / 1e6:.1f}"
        if density == "dense":
            assert f"MB, dense {megabytes}" in readme
        else:
            peak = f"{row['bytes_rewiring'] / 1e6:.1f}"
            assert f"| {density} | {row['faster']:.1f} | {megabytes} | {peak} |" in readme
    wide = (ROOT / "data/results/benchmarks/compressed-cpu-avx512.json").read_text("utf-8")
    faster = [f"{row['faster']:.1f}" for row in json.loads(wide)["training"].values()]
    assert "{}, {} and {} times".format(*faster[1:]) in " ".join(readme.split())
