"""The API page: every public name, as its docstring says today."""

import importlib
import inspect
import pkgutil

import pytest

import rigl_edu
from rigl_edu import sparse
from rigl_edu.lab import models
from tools import api

PAGE = api.PAGE.read_text("utf-8")
FILES = {module.name for module in pkgutil.iter_modules(sparse.__path__)}


def test_page_is_what_the_docstrings_say():
    assert api.page() == PAGE, "run: python tools/api.py"


def test_page_says_the_same_twice():
    assert api.page() == api.page()


def test_every_file_of_sparse_has_its_place():
    placed = " ".join(api.GROUPS.values()).split()
    assert len(placed) == len(set(placed))
    # The checks of sparsify and the state of a rule: nothing to call.
    assert set(placed) == FILES - {"evaluation", "maskable", "rule_state"}


@pytest.mark.parametrize("name", sorted({*sparse.__all__, "small_dense", *models.BUILDERS}))
def test_every_public_name_stands_on_the_page_once(name):
    assert PAGE.count(f"#### {name}\n") == 1


def test_the_face_is_part_of_sparse():
    assert set(rigl_edu.__all__) <= set(sparse.__all__)
    assert all(getattr(rigl_edu, name) is getattr(sparse, name) for name in rigl_edu.__all__)


@pytest.mark.parametrize("name", [n for n in sparse.__all__ if callable(getattr(sparse, n))])
def test_every_argument_is_explained(name):
    """In its own docstring, in the method's it refers to, or by the file's text."""
    value = getattr(sparse, name)
    assert inspect.getdoc(value), name
    home = importlib.import_module(value.__module__)
    words = " ".join([home.__doc__, value.__doc__ or ""])
    if any(phrase in words for phrase in ("rguments as for", "rguments are", "rguments and")):
        return
    required = [
        p.name
        for p in inspect.signature(value).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if len(required) > 1 and not issubclass(value if inspect.isclass(value) else object, tuple):
        missing = [p for p in required if p not in words]
        assert not missing, f"{name} does not say what {missing} mean"


@pytest.mark.parametrize("file", sorted(FILES))
def test_every_file_says_what_it_is_about(file):
    text = importlib.import_module(f"rigl_edu.sparse.{file}").__doc__
    assert text and len(text) > 80, file
