"""How an exercise is checked: cases in order, the first failing one names the mistake.

A case isolates one mistake. It calls the student's function and returns "" if all is well, or a
hint. Nothing here raises into the notebook: a wrong answer is a `Result` that is false. An error
of the student's code and one of the checker's own read differently.
"""

from __future__ import annotations

import json
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import TextWrapper
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..html import Html, inline, words

Answer = Callable[..., Any]
OURS = str(Path(__file__).parents[2])  # the package's folder


class Case(NamedTuple):
    """One thing that can go wrong: what is tried, and a test of it that returns a hint or ""."""

    name: str
    test: Callable[[Answer], str]


@dataclass(frozen=True)
class Result:
    """The outcome of a check. True if passed, so `assert check.ch11.grow(grow)` works in a test."""

    exercise: str  # "ch11.grow"
    ok: bool
    passed: int  # cases passed before the first failing one
    cases: int
    case: str = ""  # the failing one
    hint: str = ""  # names the mistake

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        if self.ok:
            return f"✓ {self.exercise}: all {self.cases} cases pass."
        text = (
            f"✗ {self.exercise}: {self.passed} of {self.cases} cases pass.\n"
            f"  First failing case: {self.case}."
        )
        wrap = TextWrapper(width=86, initial_indent="  ", subsequent_indent="  ")
        return "\n".join([text, *wrap.wrap(self.hint)])

    def _ipython_display_(self) -> None:
        """Show nothing: the check has printed its line."""


@dataclass(repr=False)
class Exercise:
    """An exercise's label, its hints, and its checker. Call it with your answer.

    Attributes:
        name: "ch11.grow".
        task: what to write, in one sentence.
        minutes: a guess for a student who has read the chapter.
        difficulty: 1 easy, 2 medium, 3 hard.
        clues: hints of rising strength.
        cases: in the order in which they are tried.
    """

    name: str
    task: str
    minutes: int
    difficulty: int
    clues: tuple[str, ...]
    cases: tuple[Case, ...]
    results: list[Result] = field(default_factory=list)

    def __post_init__(self) -> None:
        EXERCISES[self.name] = self

    def __call__(self, answer: Answer, quiet: bool = False) -> Result:
        """Check an answer, print one line (or a hint), and return the `Result`."""
        result = self._check(answer)
        self.results.append(result)
        if not quiet:
            print(result)
        return result

    def hints(self) -> Html:
        """The hints, each folded away under the one before it."""
        html = ""
        for i in range(len(self.clues), 0, -1):
            label = f"Hint {i} of {len(self.clues)}"
            clue = f"<p>{inline(self.clues[i - 1])}</p>"
            html = f"<details><summary>{label}</summary><div>{clue}{html}</div></details>"
        return words(html, "\n".join(self.clues))

    def _repr_html_(self) -> str:
        first, _, rest = repr(self).partition("\n")
        return words(f"<p><strong>{first}</strong></p><p>{inline(rest)}</p>", "").html

    def __repr__(self) -> str:
        level = ("easy", "medium", "hard")[self.difficulty - 1]
        return f"{self.name} · {self.minutes} minutes · {level}\n{self.task}"

    def _check(self, answer: Answer) -> Result:
        call = _Call(answer)
        for i, case in enumerate(self.cases):
            try:
                hint = case.test(call)
            except Exception as error:
                hint = call.hint(error)
            if hint:
                return Result(self.name, False, i, len(self.cases), case.name, hint)
        return Result(self.name, True, len(self.cases), len(self.cases))


def draws_anew(draw: Callable[[torch.Generator], Tensor]) -> str:
    """The hint for random masks that are no draws from the generator; "" if they are."""
    generator, again = (torch.Generator().manual_seed(0) for _ in range(2))
    first, second = draw(generator), draw(generator)
    if first.equal(second):
        return "Two draws from one generator are equal. Draw the positions with `generator`."
    if not draw(again).equal(first):
        return "The same seed gives another mask: pass `generator=generator` to the draw."
    return ""


def alike(a: Sequence[float], b: Sequence[float], within: float = 1e-6) -> bool:
    """Whether two lists have as many numbers, each as large as its partner to within so much."""
    return len(a) == len(b) and all(abs(x - y) < within for x, y in zip(a, b, strict=True))


class _Call:
    """The student's function, and what came of its last call."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.given: Any = None
        self.raised: Exception | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            self.given = self.answer(*args, **kwargs)
        except Exception as error:
            self.raised = error
            raise
        return self.given

    def hint(self, error: Exception) -> str:
        """Whose error it is: the student's code failed, or the checker on what it returned."""
        what = f"{type(error).__name__}: {error}"
        if not callable(self.answer):
            return "Hand over the function itself, its name without brackets, not what it returns."
        line = _line(error)  # a rule that it returned may run, and fail, after the call
        if error is self.raised or line:
            if isinstance(error, NotImplementedError):
                return "Not written yet."
            return f"It raised {what}{line}"
        if self.given is None or self.given is ...:
            return "It returned nothing."
        return (
            f"It ran, but the checker failed on the {type(self.given).__name__} that it returned "
            f"({what}). If that is what the task asks for, the fault is the checker's, not yours."
        )


EXERCISES: dict[str, Exercise] = {}


def receipt(student: str = "") -> str:
    """What was tried and passed in this session, as JSON for an instructor.

    It says what this Python process saw, and anyone can write such a text by hand: to grade,
    run the checks on the submitted functions.

    Args:
        student: a name to put on it.
    """
    from ... import __version__

    tried = [exercise for exercise in EXERCISES.values() if exercise.results]
    rows = [
        {
            "exercise": exercise.name,
            "passed": any(exercise.results),
            "tries": len(exercise.results),
            "last_hint": "" if any(exercise.results) else exercise.results[-1].hint,
        }
        for exercise in tried
    ]
    passed = sum(any(exercise.results) for exercise in tried)
    return json.dumps(
        {
            "student": student,
            "package": f"rigl_edu {__version__}",
            "passed": passed,
            "exercises": len(EXERCISES),
            "results": rows,
        },
        indent=2,
    )


def _line(error: Exception) -> str:
    """Where in the student's own code it happened, as the line's text: the same on any machine."""
    frames = traceback.extract_tb(error.__traceback__)
    others = (OURS, sysconfig.get_path("stdlib"))
    theirs = [f for f in frames if "-packages" in f.filename or f.filename.startswith(others)]
    own = [f for f in frames if f not in theirs]
    return f" (in {own[-1].name}: {own[-1].line})" if own and own[-1].line else ""
