"""Self-tests made of `<details>`: they work without JavaScript, by keyboard, and in Colab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .html import Html, inline


class Option(NamedTuple):
    """One answer, whether it is right, and why."""

    text: str
    right: bool
    why: str


class Question(NamedTuple):
    """A question with its options, exactly one of them right. `Backticks` make code."""

    text: str
    options: Sequence[Option | tuple[str, bool, str]]


STYLE = """
.rigl-quiz{--ink:#1b2129;--card:#fff;--line:#c9d0d8;--yes:#00694e;--no:#a3400a;--soft:#f3f5f7;
color:var(--ink);background:var(--card)}
html[data-theme="dark"] .rigl-quiz,html[theme="dark"] .rigl-quiz,
body[data-jp-theme-light="false"] .rigl-quiz,body.vscode-dark .rigl-quiz{
--ink:#eef2f6;--card:transparent;--line:#465262;--yes:#4fdcae;--no:#ffb072;--soft:#232b36}
html[data-theme="dark"] .cell_output .text_html:has(.rigl-quiz){
background:none!important;padding:0!important}
.rigl-quiz ol{margin:0;padding-left:1.4em}.rigl-quiz li{margin:0 0 1em;padding-left:.2em}
.rigl-quiz p{margin:0 0 .4em;color:inherit}
.rigl-quiz details{border:1px solid var(--line);border-radius:7px;margin:.35em 0;padding:0;
background:none;box-shadow:none}
.rigl-quiz summary{cursor:pointer;padding:.45em .8em;color:inherit;font-weight:400}
.rigl-quiz summary:focus-visible{outline:3px solid var(--yes);outline-offset:2px;border-radius:7px}
.rigl-quiz details[open] summary{background:var(--soft)}
.rigl-quiz details>div{padding:.5em .8em .6em 1.9em}
.rigl-quiz .yes{color:var(--yes)}.rigl-quiz .no{color:var(--no)}
.rigl-quiz code{color:inherit;background:var(--soft);border:0;padding:0 .25em}
"""


def quiz(
    questions: Sequence[Question | tuple[str, Sequence[Option | tuple[str, bool, str]]]],
) -> Html:
    """A self-test: each option opens to say whether it is right, and why.

        quiz([("Does a mask save time?", [("Yes", False, "The products are still computed."),
                                          ("No", True, "Dense kernels multiply the zeros too.")])])

    Args:
        questions: `Question`s or plain tuples of the same fields.

    Raises:
        ValueError: for a question without exactly one right option, or an option without a reason.
    """
    items, plain = [], []
    for i, (text, options) in enumerate(questions, 1):
        given = [Option(*option) for option in options]
        right = sum(option.right for option in given)
        if right != 1:
            raise ValueError(f"question {text!r} has {right} right options; it must have one")
        mute = [option.text for option in given if not option.why.strip()]
        if mute:
            raise ValueError(f"question {text!r} gives no reason for {mute}")
        answers = "".join(
            f"<details><summary>{inline(option.text)}</summary><div>{_verdict(option.right)} "
            f"{inline(option.why)}</div></details>"
            for option in given
        )
        items.append(f"<li><p><strong>{inline(text)}</strong></p>{answers}</li>")
        plain.append("\n".join([f"{i}. {text}", *(f"   - {option.text}" for option in given)]))
    body = "".join(items)
    return Html(
        f'<style>{STYLE}</style><div class="rigl-quiz"><ol>{body}</ol></div>', "\n".join(plain)
    )


def _verdict(right: bool) -> str:
    if right:
        return '<strong class="yes">✓ Right.</strong>'
    return '<strong class="no">✗ Not quite.</strong>'
