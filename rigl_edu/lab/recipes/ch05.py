"""Chapter 5, why tickets win: stable and unstable training, Maene et al. 2021 for ResNet-20.

Their 85 epochs at learning rate 0.1, whatever the batch size, and weight decay 1e-5. Batches of 128
are unstable, of 2 048 stable, 512 is between. Every second round has its re-initialised control and
a twin: the same start and masks in another order of images, for the instability (LII). At 2 048 the
rounds are repeated with the repellent loss, at 128 with the attractive one.
"""

from .recipe import Recipe
from .studies import control, drops_at, imp_rounds, study_recipe, twin

BATCHES = (128, 512, 2048)
ROUNDS = 8  # to density 0.0281
REPELLED, ATTRACTED = 2.0, -1.0  # the paper's strengths


def at_batch(batch: int) -> list[Recipe]:
    """All runs of one batch size, the dense one first."""
    dense = study_recipe(
        5,
        f"stability-dense-b{batch}",
        f"dense, batch {batch}",
        model="resnet20",
        epochs=85,
        batch=batch,
        lr=0.1,
        weight_decay=1e-5,
        drops=drops_at(85, batch, (56 / 85, 71 / 85)),
        checkpoint_every=352,
    )
    rounds = imp_rounds(dense, ROUNDS)
    watched = rounds[1::2]
    recipes = [dense, *rounds, *[control(ticket, "reinit") for ticket in watched]]
    recipes += [twin(recipe) for recipe in (dense, *watched)]
    if batch == 2048:
        recipes += imp_rounds(dense, ROUNDS, "-repelled", repellent=REPELLED)
    if batch == 128:
        recipes += imp_rounds(dense, ROUNDS, "-attracted", repellent=ATTRACTED)
    return recipes


RECIPES = [recipe for batch in BATCHES for recipe in at_batch(batch)]
