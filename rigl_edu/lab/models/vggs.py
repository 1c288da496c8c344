"""VGG-11 for small images, with batch norm and without.

Without batch norm the network depends on its first weights: a signal that shrinks in each layer
has vanished after eight. With batch norm it does not.

Source: Simonyan and Zisserman 2015, table 1, column A. Its three linear layers for 224x224 images
are one here, since the convolutions leave 512 numbers of a 32x32 image.
"""

from torch import nn

from .parts import he_conv, he_linear, scaled

POOL = 0
LAYERS = (64, POOL, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL)


def vgg11(num_classes: int = 10, in_channels: int = 3, scale: float = 1.0) -> nn.Sequential:
    """Eight 3x3 convolutions with biases, five max-poolings, one linear layer; no batch norm.

    For ten classes it has 9 222 848 weights and 9 225 610 parameters. All weights start from
    N(0, 2 / fan_in), the biases at 0.

    Returns:
        A module that maps images (B, in_channels, H, W), H and W at least 32, to logits
        (B, num_classes).
    """
    layers: list[nn.Module] = []
    fan_in = in_channels
    for width in LAYERS:
        if width == POOL:
            layers.append(nn.MaxPool2d(2))
        else:
            fan_out = scaled(width, scale)
            layers += [he_conv(fan_in, fan_out, 3, padding=1, bias=True), nn.ReLU()]
            fan_in = fan_out
    return nn.Sequential(*layers, *head(fan_in, num_classes))


def vgg11_bn(num_classes: int = 10, in_channels: int = 3, scale: float = 1.0) -> nn.Sequential:
    """`vgg11` with batch norm between each convolution and its ReLU, which replaces the bias.

    For ten classes it has 9 222 848 weights and 9 228 362 parameters.
    """
    layers: list[nn.Module] = []
    fan_in = in_channels
    for width in LAYERS:
        if width == POOL:
            layers.append(nn.MaxPool2d(2))
        else:
            fan_out = scaled(width, scale)
            layers.append(he_conv(fan_in, fan_out, 3, padding=1, bias=False))
            layers += [nn.BatchNorm2d(fan_out), nn.ReLU()]
            fan_in = fan_out
    return nn.Sequential(*layers, *head(fan_in, num_classes))


def head(fan_in: int, num_classes: int) -> list[nn.Module]:
    """(B, fan_in, h, w) to logits: the mean of each channel, then a linear layer."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), he_linear(fan_in, num_classes)]
