"""All recipes by name, one file a chapter."""

import difflib
import fnmatch
import hashlib

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
)
from .order import place
from .paper_runs import times_as_long
from .recipe import (
    LAST_OF_SEVERAL,
    METHODS,
    PRECISIONS,
    THIN,
    TICKETS,
    Recipe,
    fast,
    needed,
    own_fingerprint,
    recipe_fields,
    smoke,
    steps_per_epoch,
)

CHAPTERS = (
    *(ch01, ch02, ch03, ch04, ch05, ch06, ch07, ch08),
    *(ch09, ch10, ch11, ch12, ch13, ch14, ch15, ch16),
)
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for chapter in CHAPTERS for recipe in chapter.RECIPES
}


def find(pattern: str) -> list[Recipe]:
    """The recipes that a name or a shell-style pattern (`mini-*`) means, in their order.

    Raises:
        ValueError: there is none; the message names the closest ones, if any is close.
    """
    found = [r for name, r in RECIPES.items() if fnmatch.fnmatchcase(name, pattern)]
    if not found:
        close = difflib.get_close_matches(pattern, RECIPES, n=4, cutoff=0.4)
        said = f"the closest are {', '.join(close)}" if close else "list shows them all"
        raise ValueError(f"unknown recipe {pattern!r}; {said}")
    return found


def named(name: str) -> Recipe:
    """The recipe of that name; with "-smoke" or "-fast" at its end, that twin of one.

    Raises:
        KeyError: there is none.
    """
    if name.endswith("-smoke"):
        return smoke(named(name.removesuffix("-smoke")))
    if name.endswith("-fast"):
        return fast(RECIPES[name.removesuffix("-fast")])
    return RECIPES[name]


def recipe_fingerprint(recipe: Recipe) -> str:
    """Sha256 over what decides a run: its own fields, and the recipes it starts from."""
    before = [recipe_fingerprint(named(name)) for name in needed(recipe)]
    if not before:
        return own_fingerprint(recipe)
    all_of_them = [own_fingerprint(recipe), *before]
    return hashlib.sha256(" ".join(all_of_them).encode()).hexdigest()


__all__ = [
    "LAST_OF_SEVERAL",
    "METHODS",
    "PRECISIONS",
    "RECIPES",
    "THIN",
    "TICKETS",
    "Recipe",
    "fast",
    "find",
    "named",
    "needed",
    "place",
    "recipe_fields",
    "recipe_fingerprint",
    "smoke",
    "steps_per_epoch",
    "times_as_long",
]
