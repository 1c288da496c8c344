"""Chapter 4, did you really win? The grid of Ma et al. 2021 for ResNet-20, at 83 % removed.

Their 160 epochs in batches of 64, and the six learning rates that their text names. At each one the
dense network, the ticket by iterative and by one-shot pruning, both masks re-initialised, and the
small dense network. Their 14 rounds of 20 % go further; rewinding to a later step is not in it.
"""

from .recipe import Recipe
from .studies import control, imp_rounds, one_shot, small_dense, study_recipe

RATES = (0.001, 0.005, 0.01, 0.05, 0.1, 0.15)
ROUNDS = 4  # to density 0.1678


def at_rate(lr: float) -> list[Recipe]:
    """All runs of one learning rate, the dense one first."""
    dense = study_recipe(
        4,
        f"sanity-dense-lr{lr}",
        f"dense, lr {lr}",
        model="resnet20",
        epochs=160,
        batch=64,
        lr=lr,
        weight_decay=5e-4,
    )
    rounds = imp_rounds(dense, ROUNDS)
    once = one_shot(dense, rounds[-1].density)
    controls = [control(ticket, "reinit") for ticket in (rounds[-1], once)]
    return [dense, *rounds, once, *controls, small_dense(dense, once.density)]


RECIPES = [recipe for lr in RATES for recipe in at_rate(lr)]
