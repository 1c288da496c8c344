"""What pages show beside toys and exercises: the self-test and the package's own source."""

import ast
import inspect
import subprocess
import sys
import textwrap

import pytest

from rigl_edu.sparse import RigL, UpdateRule, decide, drop
from rigl_edu.teach import quiz, show_source

GOOD = ("2 + 2?", [("4", True, "Count."), ("5 < 6", False, "See `sum`.")])


def test_a_self_test_explains_every_option_and_escapes_text():
    html = quiz([GOOD])._repr_html_()
    assert html.count("<details>") == 2
    assert html.count("✓ Right.") == html.count("✗ Not quite.") == 1
    assert "5 &lt; 6" in html and "<code>sum</code>" in html
    assert html == quiz([GOOD]).html
    assert "<script" not in html
    assert repr(quiz([GOOD])) == "1. 2 + 2?\n   - 4\n   - 5 < 6"


@pytest.mark.parametrize(
    "options, message",
    [
        ([("4", False, "No."), ("5", False, "No.")], "has 0 right options"),
        ([("4", True, "Yes."), ("5", True, "Yes.")], "has 2 right options"),
        ([("4", True, "Yes."), ("5", False, " ")], "gives no reason for ['5']"),
    ],
)
def test_a_self_test_that_cannot_teach_is_refused(options, message):
    with pytest.raises(ValueError) as error:
        quiz([("Which?", options)])
    assert "'Which?'" in str(error.value) and message in str(error.value)


def test_the_source_shown_is_the_source_that_runs():
    shown = show_source(drop)._repr_markdown_()
    assert shown.startswith("`rigl_edu/sparse/masks.py`\n\n```python\ndef drop(")
    assert inspect.getsource(drop).rstrip() in shown


@pytest.mark.parametrize("thing", [drop, decide, RigL, UpdateRule, UpdateRule.step])
def test_without_docstrings_the_code_is_the_same(thing):
    def without(tree):
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
                node.body = node.body[1:]
        return ast.dump(tree)

    text = str(show_source(thing, docstring=False))
    code = text.split("```python\n")[1].removesuffix("\n```")
    assert '"""' not in code
    whole = textwrap.dedent(inspect.getsource(thing))
    assert ast.dump(ast.parse(code)) == without(ast.parse(whole))


def test_source_can_be_folded():
    text = str(show_source(drop, fold="Solution"))
    assert text.startswith("<details><summary>Solution</summary>\n\n`rigl_edu")
    assert text.endswith("```\n\n</details>")


def test_source_of_something_else_is_refused():
    with pytest.raises(ValueError, match="not part of rigl_edu"):
        show_source(inspect.getsource)


def test_teach_needs_no_notebook_and_figures_only_when_asked():
    code = (
        "import sys, rigl_edu; assert 'rigl_edu.teach' not in sys.modules\n"
        "from rigl_edu.teach import check, quiz, show_source, six_by_six, toys\n"
        "toys.rewire(six_by_six())\n"
        "loaded = {'IPython', 'matplotlib', 'seaborn', 'ipywidgets'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
