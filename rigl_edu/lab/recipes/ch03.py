"""Chapter 3, lottery tickets: a row of Tables 2 and 3, and iterative pruning of ResNet-20.

The row trains with the masks of pruning's end. ResNet-20 has the usual recipe of the literature on
tickets (batches of 128 for 160 epochs, learning rate 0.1). Its tickets go back to the first weights
or to those of step 2 000, from which on Frankle et al. 2020 found its training stable.
"""

from .mini import mini_recipe
from .resnet50 import resnet50_recipe
from .studies import control, imp_rounds, study_recipe
from .wrn22 import wrn22_recipe

ROUNDS, STABLE_FROM = 8, 2_000

RESNET20 = study_recipe(
    3, "resnet20-dense", "dense", "resnet20", epochs=160, batch=128, lr=0.1, weight_decay=1e-4
)
FROM_START = imp_rounds(RESNET20, ROUNDS)
FROM_LATER = imp_rounds(RESNET20, ROUNDS, f"-k{STABLE_FROM}", rewind=STABLE_FROM)

RECIPES = [
    *[
        recipe(3, "lottery", density)
        for recipe in (wrn22_recipe, resnet50_recipe)
        for density in (0.1, 0.2)
    ],
    *[mini_recipe(3, "lottery", density) for density in (0.1, 0.05)],
    RESNET20,
    *FROM_START,
    *FROM_LATER,
    *[control(FROM_START[i], method) for i in (3, 5) for method in ("reinit", "shuffled")],
    *[control(FROM_LATER[i], "shuffled") for i in (3, 5)],
]
