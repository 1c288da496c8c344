"""Networks of the book as plain dense modules; `rigl_edu.sparsify` makes any of them sparse.

One file a family. Every builder makes one network for small images, starts from the global random
numbers (`torch.manual_seed`), and takes a `scale` of its widths, which `small_dense` uses. The
first convolution or linear layer is registered first in every network, because the uniform
distribution keeps the first layer dense.
"""

from collections.abc import Callable

from torch import nn

from .basic_resnets import BasicBlock, BasicResNet, resnet20, resnet20_no_bn
from .bottleneck_resnets import Bottleneck, BottleneckResNet, resnet50
from .lenets import LeNet5, lenet5
from .parts import conv, he_conv, he_linear, scaled
from .perceptrons import mlp
from .small_cnns import small_cnn
from .small_dense import small_dense
from .vggs import vgg11, vgg11_bn
from .wide_resnets import WideBlock, WideResNet, wide_resnet

__all__ = [
    "BUILDERS",
    "BasicBlock",
    "BasicResNet",
    "Bottleneck",
    "BottleneckResNet",
    "LeNet5",
    "WideBlock",
    "WideResNet",
    "conv",
    "he_conv",
    "he_linear",
    "lenet5",
    "mlp",
    "resnet20",
    "resnet20_no_bn",
    "resnet50",
    "scaled",
    "small_cnn",
    "small_dense",
    "vgg11",
    "vgg11_bn",
    "wide_resnet",
]

BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "mlp": mlp,
    "lenet5": lenet5,
    "small_cnn": small_cnn,
    "vgg11": vgg11,
    "vgg11_bn": vgg11_bn,
    "resnet20": resnet20,
    "resnet20_no_bn": resnet20_no_bn,
    "wide_resnet": wide_resnet,
    "resnet50": resnet50,
}
