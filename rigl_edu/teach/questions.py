"""Self-tests made of `<details>`: they work without JavaScript, by keyboard, and in Colab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .html import Html, inline, words


class Option(NamedTuple):
    """One answer, whether it is right, and why."""

    text: str
    right: bool
    why: str


class Question(NamedTuple):
    """A question with its options, exactly one of them right. `Backticks` make code."""

    text: str
    options: Sequence[Option | tuple[str, bool, str]]


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
    return words(f"<ol>{''.join(items)}</ol>", "\n".join(plain))


def _verdict(right: bool) -> str:
    if right:
        return '<strong class="yes">✓ Right.</strong>'
    return '<strong class="no">✗ Not quite.</strong>'
