"""Fully connected networks: the classic 300-100 and its relatives."""

from collections.abc import Sequence

from torch import nn

from .parts import scaled


def mlp(sizes: Sequence[int] = (64, 300, 100, 10), scale: float = 1.0) -> nn.Sequential:
    """A multi-layer perceptron with ReLU between its linear layers.

    Args:
        sizes: features of the flattened input, of each hidden layer, and of the output.
        scale: of the hidden layers' features.

    Returns:
        A module that maps (B, ...) with `sizes[0]` numbers a sample to logits (B, sizes[-1]).
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"sizes={tuple(sizes)}: give at least two sizes, each at least 1")
    widths = [sizes[0], *(scaled(size, scale) for size in sizes[1:-1]), sizes[-1]]
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
