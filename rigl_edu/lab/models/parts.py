"""What several networks are made of: convolutions with their first weights, and scaled widths.

He et al. 2015 draw weights from N(0, sd), where sd = sqrt(2 / n) makes up for the half that a ReLU
sets to 0. With n the inputs of an output number (fan-in) the forward signal keeps its size, with n
the outputs that an input number reaches (fan-out) the gradient does. Batch norm hides the
difference; without it the forward signal decides whether a network trains at all.
"""

import math

from torch import nn


def conv(fan_in: int, fan_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A padded convolution without bias, drawn from N(0, sd) with sd = sqrt(2 / (k^2 C_out))."""
    layer = nn.Conv2d(fan_in, fan_out, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.normal_(layer.weight, std=math.sqrt(2 / (kernel * kernel * fan_out)))
    return layer


def he_conv(
    fan_in: int, fan_out: int, kernel: int, stride: int = 1, *, padding: int, bias: bool
) -> nn.Conv2d:
    """A convolution drawn from N(0, sd) with sd = sqrt(2 / (k^2 C_in)); a bias starts at 0."""
    layer = nn.Conv2d(fan_in, fan_out, kernel, stride, padding=padding, bias=bias)
    nn.init.normal_(layer.weight, std=math.sqrt(2 / (kernel * kernel * fan_in)))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def he_linear(fan_in: int, fan_out: int) -> nn.Linear:
    """A linear layer drawn from N(0, sd) with sd = sqrt(2 / fan_in); its bias starts at 0."""
    layer = nn.Linear(fan_in, fan_out)
    nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_in))
    nn.init.zeros_(layer.bias)
    return layer


def scaled(channels: int, scale: float) -> int:
    """int(scale * channels).

    Raises:
        ValueError: if that leaves no channel.
    """
    # The slack keeps 0.29 * 100 = 28.999999999999996 from becoming 28.
    count = int(scale * channels + 1e-9)
    if count < 1:
        raise ValueError(
            f"scale={scale} leaves none of {channels} channels; it must be at least {1 / channels}"
        )
    return count
