"""Reference solutions. The pages show them folded away; the tests run them through the checkers.

Everything a student is asked to write and nothing else, so that a teacher can leave this folder
out of a copy for students.
"""

from . import ch11, ch15, ch16

__all__ = ["ch11", "ch15", "ch16"]
