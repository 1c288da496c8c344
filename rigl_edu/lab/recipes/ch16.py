"""Chapter 16, from masks to seconds: whole kernels, Table 7 (its cells are in no CSV file).

The paper's runs labelled ERK used ER.
"""

from .wrn22 import paper_recipe

RECIPES = [
    paper_recipe(16, "rigl_struct", density, distribution)
    for distribution in ("uniform", "er")
    for density in (0.1, 0.2)
]
