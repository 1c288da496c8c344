"""Exercises that check themselves, anywhere: no server, no files beside the notebook.

`check.ch11.grow(my_grow)` prints a line; a wrong answer gets a hint that names the mistake.
`check.ch11.grow.hints()` shows hints of rising strength.
`check.receipt("Ada")` is JSON for an instructor.
"""

from . import (
    ch01,
    ch02,
    ch03,
    ch04,
    ch05,
    ch06,
    ch07,
    ch08,
    ch09,
    ch10,
    ch11,
    ch12,
    ch13,
    ch14,
    ch15,
    ch16,
    ch17,
)
from .result import Case, Exercise, Result, receipt

__all__ = [
    "Case",
    "Exercise",
    "Result",
    "ch01",
    "ch02",
    "ch03",
    "ch04",
    "ch05",
    "ch06",
    "ch07",
    "ch08",
    "ch09",
    "ch10",
    "ch11",
    "ch12",
    "ch13",
    "ch14",
    "ch15",
    "ch16",
    "ch17",
    "receipt",
]
