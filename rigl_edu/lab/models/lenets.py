"""LeNet-5, the small network on which gradient flow is easiest to watch: nothing normalises it."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from .parts import he_conv, he_linear, scaled


class LeNet5(nn.Module):
    """See `lenet5`."""

    def __init__(
        self, widths: Sequence[int], num_classes: int, in_channels: int, image_size: int
    ) -> None:
        super().__init__()
        self.image_size = image_size
        channels1, channels2, hidden1, hidden2 = widths
        side = ((image_size - 4) // 2 - 4) // 2  # two convolutions, each followed by a pooling
        self.conv1 = he_conv(in_channels, channels1, 5, padding=0, bias=True)
        self.conv2 = he_conv(channels1, channels2, 5, padding=0, bias=True)
        self.fc1 = he_linear(channels2 * side * side, hidden1)
        self.fc2 = he_linear(hidden1, hidden2)
        self.fc3 = he_linear(hidden2, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, in_channels, image_size, image_size) to logits (B, num_classes)."""
        size = self.image_size
        if x.shape[-2:] != (size, size):
            raise ValueError(
                f"images are {x.shape[-2]}x{x.shape[-1]}, this LeNet-5 is for {size}x{size}; "
                "build it with another image_size (28 or 32)"
            )
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  # 28 -> 24 -> 12
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # 12 -> 8 -> 4
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc3(F.relu(self.fc2(x)))


def lenet5(
    num_classes: int = 10,
    in_channels: int = 1,
    image_size: int = 28,
    widths: Sequence[int] = (6, 16, 120, 84),
    scale: float = 1.0,
) -> LeNet5:
    """LeNet-5 with ReLU and max-pooling: two 5x5 convolutions without padding, three linear layers.

    For ten classes of 28x28 images it has 44 190 weights and 236 biases. With widths (3, 3, 27, 20)
    it has 2 399 parameters, the small-dense twin of 5 % of the weights in Evci et al. 2022. All
    weights start from N(0, 2 / fan_in), the biases at 0.

    Source: LeCun et al. 1998, as Evci et al. 2022 (gradient flow) use it on MNIST.

    Args:
        num_classes: outputs.
        in_channels: of the images.
        image_size: height and width of the images, 28 or 32.
        widths: channels of the two convolutions, features of the two hidden linear layers.
        scale: of the widths.
    """
    if image_size not in (28, 32):
        raise ValueError(f"image_size={image_size}: LeNet-5 takes images of 28 or 32 pixels a side")
    if len(widths) != 4 or min(widths) < 1:
        raise ValueError(f"widths={tuple(widths)}: give four widths, each at least 1")
    return LeNet5([scaled(width, scale) for width in widths], num_classes, in_channels, image_size)
