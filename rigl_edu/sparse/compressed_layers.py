"""The compressed layers: a linear layer and a 1 x 1 convolution without their zeros.

`compress` makes them of masked layers; what the two share is in `compressed`.
"""

from __future__ import annotations

from torch import Tensor, nn

from .compressed import Compressed
from .layers import MaskedConv2d, MaskedLinear


class CompressedLinear(Compressed):
    """A linear layer that stores its active weights alone. Made by `compress`.

    Inputs (..., in_features), outputs (..., out_features). On several samples it computes in
    columns: the output's last two dimensions are swapped in memory, which is what the next
    compressed layer wants. To any other layer it hands on rows.
    """

    in_features: int
    out_features: int
    hands_on_rows: bool = False  # set by `compress`

    def forward(self, x: Tensor) -> Tensor:
        """X W^T + b."""
        columns = x.reshape(-1, self.in_features).t()  # (in, B)
        y = self.product(columns.to(self.values.dtype)).t()  # (B, out)
        if self.hands_on_rows:
            y = y.contiguous()
        return y if x.ndim == 2 else y.reshape(*x.shape[:-1], self.out_features)


class CompressedConv2d(Compressed):
    """A 1 x 1 convolution that stores its active weights alone. Made by `compress`.

    Inputs (N, in_channels, H, W). Larger kernels would have to copy every input k * k times
    first, which costs more than the zeros do.
    """

    in_channels: int
    out_channels: int
    stride: tuple[int, int]

    def forward(self, x: Tensor) -> Tensor:
        """The convolution, as one product over all positions of all samples."""
        x = x[:, :, :: self.stride[0], :: self.stride[1]]  # (N, in, H', W')
        n, _, height, width = x.shape
        columns = x.transpose(0, 1).reshape(self.in_channels, -1)  # (in, N H' W')
        y = self.product(columns.to(self.values.dtype))  # (out, N H' W')
        return y.view(self.out_channels, n, height, width).transpose(0, 1)


SparseLayer = MaskedLinear | MaskedConv2d | CompressedLinear | CompressedConv2d


def sparse_layers(model: nn.Module) -> dict[str, SparseLayer]:
    """All masked and all compressed layers of a model by name, in the order of `named_modules`."""
    return {
        name: module for name, module in model.named_modules() if isinstance(module, SparseLayer)
    }
