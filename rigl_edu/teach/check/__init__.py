"""Exercises that check themselves, anywhere: no server, no files beside the notebook.

`check.ch11.grow(my_grow)` prints a line; a wrong answer gets a hint that names the mistake.
`check.ch11.grow.hints()` shows hints of rising strength.
`check.receipt("Ada")` is JSON for an instructor.
"""

from . import ch11, ch15, ch16
from .result import Case, Exercise, Result, receipt

__all__ = ["Case", "Exercise", "Result", "ch11", "ch15", "ch16", "receipt"]
