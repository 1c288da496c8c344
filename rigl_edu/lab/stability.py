"""Does training end in one valley, in whatever order it sees the images?"""

from torch import Tensor, nn

from rigl_edu.sparse import LII_ALPHAS, copy_state, lii, path, reestimate_batch_norm

from .augment import normalise
from .data import Dataset
from .recipes import Recipe
from .train import evaluate, training_part

BATCHES, BATCH = 20, 250  # of training images, on which batch norm is measured anew


def barrier(model: nn.Module, other: dict[str, Tensor], data: Dataset, recipe: Recipe) -> float:
    """The instability (LII) between two networks: the hill of the test error between them.

    Args:
        model: one trained network; not changed.
        other: the state dict of the other one, on any device.
        data: test images for the error, the first training images for batch norm, not augmented.
        recipe: of both.

    Returns:
        Points of test error in percent, 0 or more, over 30 points of the line; batch norm's
        statistics are those of each point.
    """
    device = data.test_images.device
    images = training_part(data, recipe)[0][: BATCHES * BATCH]
    batch = min(BATCH, len(images))
    whole = images[: len(images) // batch * batch]
    batches = [normalise(part, data.mean, data.std) for part in whole.split(batch)]

    def error(network: nn.Module) -> float:
        return 100 - evaluate(network, data, data.test_images, data.test_labels, recipe)

    errors = path(
        model,
        copy_state(model),
        {name: tensor.to(device) for name, tensor in other.items()},
        error,
        LII_ALPHAS,
        prepare=lambda network: reestimate_batch_norm(network, batches),
    )
    return lii(errors, LII_ALPHAS)
