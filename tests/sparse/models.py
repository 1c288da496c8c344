"""Small networks, batches and look-ups that the tests of `rigl_edu.sparse` share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rigl_edu.sparse import masked_layers

CLASSES = 3


def mlp(*sizes: int, seed: int = 0) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def convnet(
    *,
    width: int = 4,
    groups: int = 2,
    kernel: tuple[int, int] = (3, 3),
    norm: bool = False,
    seed: int = 0,
) -> nn.Sequential:
    """Ordinary, grouped and 1x1 convolutions, then a linear layer; images are (B, 2, 6, 6)."""
    torch.manual_seed(seed)
    wide = width * groups
    layers: list[nn.Module] = [nn.Conv2d(2, wide, kernel, padding="same")]
    if norm:
        layers.append(nn.BatchNorm2d(wide))
    layers += [nn.ReLU(), nn.Conv2d(wide, wide, kernel, padding="same", groups=groups), nn.ReLU()]
    layers += [nn.Conv2d(wide, width, 1, bias=False), nn.ReLU()]
    layers += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, CLASSES)]
    return nn.Sequential(*layers)


def batch(model: nn.Module, index: int, size: int = 8) -> tuple[Tensor, Tensor]:
    """The `index`-th batch a model would see; the same in every process and after every resume."""
    generator = torch.Generator().manual_seed(1000 + index)
    first = next(m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d)))
    shape = (first.in_features,) if isinstance(first, nn.Linear) else (first.in_channels, 6, 6)
    inputs = torch.randn(size, *shape, generator=generator).to(first.weight.dtype)
    return inputs, torch.randint(CLASSES, (size,), generator=generator)


def backward(model: nn.Module, index: int, size: int = 8) -> Tensor:
    """Gradients of the `index`-th batch, fresh; the loss."""
    inputs, targets = batch(model, index, size)
    model.zero_grad()
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    return loss


def masks_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of every mask, as bool."""
    return {name: layer.mask.bool().clone() for name, layer in masked_layers(model).items()}


def counts_of(model: nn.Module) -> dict[str, int]:
    """Number of ones in every mask."""
    return {name: int(layer.mask.sum()) for name, layer in masked_layers(model).items()}


def state_off_mask(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """What breaks the invariant: names of weights and optimizer states that are not 0 off the mask.

    Also names a mask that is not made of zeros and ones.
    """
    broken = []
    for name, layer in masked_layers(model).items():
        off = layer.mask == 0
        if not (off | (layer.mask == 1)).all():
            broken.append(f"{name}.mask")
        if layer.weight.detach()[off].count_nonzero():
            broken.append(f"{name}.weight")
        for key, value in optimizer.state.get(layer.weight, {}).items():
            if isinstance(value, Tensor) and value.shape == off.shape and value[off].any():
                broken.append(f"{name}.{key}")
    return broken


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of everything in a model's state dict."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Bit-equal, the same names included."""
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)
