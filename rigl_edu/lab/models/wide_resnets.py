"""Wide residual networks, among them the WRN-22-2 of the papers' CIFAR-10 tables."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from .parts import conv, scaled


class WideBlock(nn.Module):
    """A pre-activation residual block: (BN, ReLU, 3x3 conv) twice, dropout before the second conv.

    Where the block changes the shape, a 1x1 convolution without batch norm carries the shortcut; it
    reads the activated input, as the first 3x3 convolution does. Elsewhere the shortcut is the
    input itself.
    """

    def __init__(self, fan_in: int, fan_out: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(fan_in)
        self.conv1 = conv(fan_in, fan_out, 3, stride)
        self.norm2 = nn.BatchNorm2d(fan_out)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = conv(fan_out, fan_out, 3)
        same_shape = fan_in == fan_out and stride == 1
        self.shortcut = None if same_shape else conv(fan_in, fan_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, fan_in, H, W) to (B, fan_out, H / stride, W / stride)."""
        active = F.relu(self.norm1(x))
        out = F.relu(self.norm2(self.conv1(active)))
        out = self.conv2(self.dropout(out))
        return out + (x if self.shortcut is None else self.shortcut(active))


class WideResNet(nn.Module):
    """See `wide_resnet`."""

    def __init__(
        self,
        blocks: int,
        channels: Sequence[int],
        num_classes: int,
        dropout: float,
        in_channels: int,
    ) -> None:
        super().__init__()
        self.stem = conv(in_channels, channels[0], 3)
        self.group1 = wide_group(blocks, channels[0], channels[1], 1, dropout)
        self.group2 = wide_group(blocks, channels[1], channels[2], 2, dropout)
        self.group3 = wide_group(blocks, channels[2], channels[3], 2, dropout)
        self.norm = nn.BatchNorm2d(channels[3])
        self.fc = nn.Linear(channels[3], num_classes)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, in_channels, H, W) to logits (B, num_classes)."""
        x = self.group3(self.group2(self.group1(self.stem(x))))
        x = F.adaptive_avg_pool2d(F.relu(self.norm(x)), 1)
        return self.fc(x.flatten(1))


def wide_group(blocks: int, fan_in: int, fan_out: int, stride: int, dropout: float) -> nn.Module:
    """`blocks` residual blocks of which the first changes the width and the stride."""
    first = WideBlock(fan_in, fan_out, stride, dropout)
    rest = [WideBlock(fan_out, fan_out, 1, dropout) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def wide_resnet(
    depth: int,
    width: int,
    num_classes: int = 10,
    dropout: float = 0.3,
    in_channels: int = 3,
    scale: float = 1.0,
) -> WideResNet:
    """WRN-depth-width for small images, as the reproduction trained it on CIFAR-10.

    A 3x3 stem without batch norm, three groups of (depth - 4) / 6 blocks with 16, 32 and 64 times
    `width` channels, batch norm, global average pool, linear layer. WRN-22-2 has 1 076 912 weights
    in its convolutions and linear layer and 1 079 642 parameters. All four channel counts, the
    stem's 16 among them, are multiplied by `scale`.

    Source: Zagoruyko and Komodakis 2016, section 2; Sundar and Dwaraknath 2021, section 4.
    """
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(f"depth={depth}: a wide ResNet has depth 6n + 4, so 10, 16, 22, 28, ...")
    if width < 1:
        raise ValueError(f"width={width}: the channel multiplier must be at least 1")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout={dropout}: must be at least 0 and below 1")
    channels = [scaled(count, scale) for count in (16, 16 * width, 32 * width, 64 * width)]
    return WideResNet((depth - 4) // 6, channels, num_classes, dropout, in_channels)
