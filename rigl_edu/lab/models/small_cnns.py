"""A convolutional network small enough to train on a laptop while one reads on."""

from torch import nn

from .parts import conv, scaled


def small_cnn(
    num_classes: int = 10, width: int = 16, in_channels: int = 3, scale: float = 1.0
) -> nn.Sequential:
    """Three 3x3 convolutions with batch norm, each halving the image after the first.

    Returns:
        A module that maps images (B, in_channels, H, W), H and W at least 4, to logits
        (B, num_classes).
    """
    widths = (scaled(width, scale), scaled(2 * width, scale), scaled(4 * width, scale))
    layers: list[nn.Module] = []
    fan_in = in_channels
    for stride, fan_out in zip((1, 2, 2), widths, strict=True):
        layers += [conv(fan_in, fan_out, 3, stride), nn.BatchNorm2d(fan_out), nn.ReLU()]
        fan_in = fan_out
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(fan_in, num_classes)
    )
