"""ResNet-20 for small images, with batch norm and without.

Sources: He et al. 2016, section 4.2, for the network; the shortcut and the first weights as the
lottery-ticket literature has them (see `resnet20`).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .parts import he_conv, he_linear, scaled

BLOCKS = 3  # in each of the three groups: 1 + 3 * 3 * 2 + 1 = 20 layers


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, ReLU after the sum.

    Where the block changes the shape, a 1x1 convolution carries the shortcut; elsewhere it is the
    input itself. Each convolution has batch norm after it, or a bias instead.
    """

    def __init__(self, fan_in: int, fan_out: int, stride: int, batch_norm: bool) -> None:
        super().__init__()
        norm = nn.BatchNorm2d if batch_norm else nn.Identity
        bias = not batch_norm
        self.conv1 = he_conv(fan_in, fan_out, 3, stride, padding=1, bias=bias)
        self.norm1 = norm(fan_out)
        self.conv2 = he_conv(fan_out, fan_out, 3, padding=1, bias=bias)
        self.norm2 = norm(fan_out)
        self.shortcut = None
        if fan_in != fan_out or stride != 1:
            self.shortcut = he_conv(fan_in, fan_out, 1, stride, padding=0, bias=bias)
            self.shortcut_norm = norm(fan_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, fan_in, H, W) to (B, fan_out, H / stride, W / stride)."""
        out = F.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        return F.relu(out + (x if self.shortcut is None else self.shortcut_norm(self.shortcut(x))))


class BasicResNet(nn.Module):
    """See `resnet20` and `resnet20_no_bn`."""

    def __init__(
        self, num_classes: int, in_channels: int, scale: float, *, batch_norm: bool
    ) -> None:
        super().__init__()
        widths = [scaled(width, scale) for width in (16, 32, 64)]
        self.stem = he_conv(in_channels, widths[0], 3, padding=1, bias=not batch_norm)
        self.norm = nn.BatchNorm2d(widths[0]) if batch_norm else nn.Identity()
        self.group1 = basic_group(widths[0], widths[0], 1, batch_norm)
        self.group2 = basic_group(widths[0], widths[1], 2, batch_norm)
        self.group3 = basic_group(widths[1], widths[2], 2, batch_norm)
        self.fc = he_linear(widths[2], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, in_channels, H, W) to logits (B, num_classes)."""
        x = F.relu(self.norm(self.stem(x)))
        x = self.group3(self.group2(self.group1(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def basic_group(fan_in: int, fan_out: int, stride: int, batch_norm: bool) -> nn.Sequential:
    """Three blocks of which the first changes the width and the stride."""
    first = BasicBlock(fan_in, fan_out, stride, batch_norm)
    rest = [BasicBlock(fan_out, fan_out, 1, batch_norm) for _ in range(BLOCKS - 1)]
    return nn.Sequential(first, *rest)


def resnet20(num_classes: int = 10, in_channels: int = 3, scale: float = 1.0) -> BasicResNet:
    """ResNet-20 for CIFAR: a 3x3 stem, three groups of three blocks with 16, 32, 64 channels.

    The two shortcuts that change the shape are 1x1 convolutions with batch norm, as in open_lth and
    in the code of Ma et al. 2021. That gives 272 474 parameters, and 274 042 numbers with batch
    norm's 1 568 running means and variances: the 274K of Maene et al. 2021. He et al. pad the input
    with zeros instead, which has no weights: 269 722, and 271 098. For ten classes 270 896 of the
    parameters are weights of convolutions and the linear layer, all of which start from
    N(0, 2 / fan_in).
    """
    return BasicResNet(num_classes, in_channels, scale, batch_norm=True)


def resnet20_no_bn(num_classes: int = 10, in_channels: int = 3, scale: float = 1.0) -> BasicResNet:
    """ResNet-20 without batch norm: the same 270 896 weights, and a bias for each channel.

    Each of the nine sums about doubles the signal's variance, 2^9 in all, if both sides of it are
    of one size. So each block's second convolution starts from N(0, sd / sqrt(9)), and the nine
    sums together leave (1 + 1/9)^9 = 2.6. The factor for L blocks, L^(-1/2), is that of Zhang et
    al. 2019 (Fixup); where it stands is our choice. Fixup also starts some weights at 0, and no
    score could tell those apart.
    """
    model = BasicResNet(num_classes, in_channels, scale, batch_norm=False)
    blocks = [module for module in model.modules() if isinstance(module, BasicBlock)]
    with torch.no_grad():
        for block in blocks:
            block.conv2.weight.div_(math.sqrt(len(blocks)))
    return model
