"""What the checker tests of all chapters share: the museum of wrong answers and four tests of it.

A chapter's test file hangs wrong answers and calls the tests:

    MUSEUM = Museum(check.ch11, solution)

    @MUSEUM.wrong("grow", "a part of the hint that must come")
    def by_signed_gradient(gradient, kept, k): ...

    def test_references(): MUSEUM.the_references_pass()
    def test_shown_solutions(): MUSEUM.the_shown_solutions_run("import torch")
    def test_exercises(): MUSEUM.is_complete()
    @pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
    def test_wrong(exercise, answer, hint): MUSEUM.rejects(exercise, answer, hint)
"""

import pytest

from rigl_edu.teach import show_source
from rigl_edu.teach.check.result import EXERCISES


class Museum:
    def __init__(self, checkers, solutions):
        self.chapter = checkers.__name__.rpartition(".")[2]
        self.checkers, self.solutions = checkers, solutions
        self.entries = []

    @property
    def exercises(self):
        """The chapter's exercises by name."""
        of_chapter = [e for e in EXERCISES.values() if e.name.startswith(f"{self.chapter}.")]
        return {exercise.name.partition(".")[2]: exercise for exercise in of_chapter}

    def wrong(self, exercise, hint):
        """Hang an answer: the checker must reject it with a hint that says `hint`."""

        def hang(answer):
            self.hang(exercise, answer.__name__, hint, answer)
            return answer

        return hang

    def hang(self, exercise, name, hint, answer):
        self.entries.append(pytest.param(exercise, answer, hint, id=f"{exercise}-{name}"))

    def the_references_pass(self):
        assert len(self.exercises) >= 3
        for name, checker in self.exercises.items():
            assert getattr(self.checkers, name) is checker
            result = checker(getattr(self.solutions, name), quiet=True)
            assert result and result.passed == result.cases == len(checker.cases), result
            assert result.hint == ""

    def the_shown_solutions_run(self, imports, *helpers):
        """What the page shows is enough: paste it, with its imports, and it passes.

        Args:
            imports: lines of code, the solution file's imports.
            helpers: names in the solution file that the solutions use and the page shows too.
        """
        shown = "\n\n".join(
            str(show_source(getattr(self.solutions, name))).split("```python\n")[1].rstrip("`\n")
            for name in (*helpers, *self.exercises)
        )
        names = {}
        exec(f"{imports}\n{shown}", names)
        for name, checker in self.exercises.items():
            assert checker(names[name], quiet=True)

    def is_complete(self):
        """Three wrong answers, three hints and a label for each exercise."""
        for name, exercise in self.exercises.items():
            assert sum(entry.values[0] == name for entry in self.entries) >= 3, name
            assert len(exercise.clues) >= 3 and exercise.minutes > 0
            html = exercise.hints()._repr_html_()
            assert html.count("<details>") == len(exercise.clues) == html.count("</details>")
            assert f"{exercise.minutes} minutes" in exercise._repr_html_()

    def rejects(self, exercise, answer, hint):
        result = getattr(self.checkers, exercise)(answer, quiet=True)
        assert not result and not result.ok
        assert hint in result.hint, result.hint
