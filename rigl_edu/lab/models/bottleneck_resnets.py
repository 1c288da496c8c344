"""ResNet-50 for small images, as the reproduction trained it on CIFAR-100.

Sources: He et al. 2016, table 1; Sundar and Dwaraknath 2021, table of the architecture.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from .parts import conv, scaled

EXPANSION = 4  # a block's output has four times its width


class Bottleneck(nn.Module):
    """A 1x1 convolution to `width` channels, a 3x3 one with the stride, a 1x1 one to four times.

    Batch norm after each; ReLU after the first two and after the sum with the shortcut. Where the
    block changes the shape, a 1x1 convolution with batch norm carries the shortcut.
    """

    def __init__(self, fan_in: int, width: int, stride: int) -> None:
        super().__init__()
        fan_out = EXPANSION * width
        self.conv1 = conv(fan_in, width, 1)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv3 = conv(width, fan_out, 1)
        self.norm3 = nn.BatchNorm2d(fan_out)
        nn.init.zeros_(self.norm3.weight)  # the block starts as its shortcut
        self.shortcut = None
        if fan_in != fan_out or stride != 1:
            self.shortcut = conv(fan_in, fan_out, 1, stride)
            self.shortcut_norm = nn.BatchNorm2d(fan_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, fan_in, H, W) to (B, 4 width, H / stride, W / stride)."""
        out = F.relu(self.norm1(self.conv1(x)))
        out = F.relu(self.norm2(self.conv2(out)))
        out = self.norm3(self.conv3(out))
        return F.relu(out + (x if self.shortcut is None else self.shortcut_norm(self.shortcut(x))))


class BottleneckResNet(nn.Module):
    """See `resnet50`."""

    def __init__(self, num_classes: int, in_channels: int, scale: float) -> None:
        super().__init__()
        stem, *widths = (scaled(width, scale) for width in (64, 64, 128, 256, 512))
        self.stem = conv(in_channels, stem, 3)
        self.norm = nn.BatchNorm2d(stem)
        self.group1 = bottleneck_group(3, stem, widths[0], 1)
        self.group2 = bottleneck_group(4, EXPANSION * widths[0], widths[1], 2)
        self.group3 = bottleneck_group(6, EXPANSION * widths[1], widths[2], 2)
        self.group4 = bottleneck_group(3, EXPANSION * widths[2], widths[3], 2)
        self.fc = nn.Linear(EXPANSION * widths[3], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, in_channels, H, W) to logits (B, num_classes)."""
        x = F.relu(self.norm(self.stem(x)))
        x = self.group4(self.group3(self.group2(self.group1(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def bottleneck_group(blocks: int, fan_in: int, width: int, stride: int) -> nn.Sequential:
    """`blocks` blocks of which the first changes the width and the stride."""
    first = Bottleneck(fan_in, width, stride)
    rest = [Bottleneck(EXPANSION * width, width, 1) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def resnet50(num_classes: int = 100, in_channels: int = 3, scale: float = 1.0) -> BottleneckResNet:
    """ResNet-50 for 32x32 images: a 3x3 stem of stride 1 without pooling, then the usual 16 blocks.

    The images stay 32x32 in the first group and are 16, 8 and 4 pixels a side in the others. For
    100 classes it has 54 weight tensors with 23 652 032 weights, 23 705 252 parameters, and a
    forward pass costs 2 596 030 464 FLOPs. Convolutions start from N(0, 2 / fan_out), the last
    batch norm's scale of each block at 0.
    """
    return BottleneckResNet(num_classes, in_channels, scale)
