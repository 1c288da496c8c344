"""What a forward pass costs: its FLOPs at the current masks, layer by layer.

Convention, in both papers: multiplications and additions both count, so one multiply-add is two
FLOPs; linear and convolutional layers only, so no norms, activations or pooling; one sample. The
reproduction's counter adds one FLOP for each input of a linear layer (WRN-22-2: 128 of 315460224).
So do we, and our totals equal its own to the last digit.

`nn.MultiheadAttention` counts as four linear layers: the projections of query, key and value, which
have no mask, and `out_proj`, which may have one. What it does between them, multiply queries with
keys and the result with values, is no layer and is left out, so the true cost of a Transformer is
higher and grows with the square of the number of tokens.

Sources: RigL (Evci et al. 2020), appendix H; Sundar & Dwaraknath (2021), appendix on counting.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from .compressed import Compressed
from .compressed_layers import CompressedLinear
from .evaluation import evaluating
from .layers import Masked


def forward_flops(
    model: nn.Module, sample: tuple[int, ...] | Tensor, *, dense: bool = False
) -> int:
    """FLOPs of one sample's forward pass: each active weight, twice, at each output position.

    A layer called twice counts twice. Nothing is computed for a model on the meta device, where
    the largest network can be counted; its masks have no values there, so `dense` must be true if
    it has any.

    Args:
        model: any module; run once, in evaluation mode, and left as it was.
        sample: shape of one sample without the batch, for example (3, 32, 32), to run on zeros; or
            one sample itself as a tensor, where zeros will not do, for example token numbers.
        dense: count the network as if no weight were masked (f_d instead of f_s).

    Raises:
        ValueError: if there is nothing to count, or a masked layer is never called.
    """
    kinds = (nn.Linear, nn.Conv2d, Compressed)
    layers = {n: m for n, m in model.named_modules() if isinstance(m, kinds)}
    if not layers:
        raise ValueError(f"{type(model).__name__} has no Linear or Conv2d layer")
    flops = 0
    called: set[nn.Module] = set()

    def add(layer: Any, positions: int) -> None:
        nonlocal flops
        called.add(layer)
        if isinstance(layer, (Masked, Compressed)):
            weights = prod(layer.weight_shape) if dense else layer.active
        else:
            weights = layer.weight.numel()
        flops += 2 * weights * positions
        if isinstance(layer, (nn.Linear, CompressedLinear)):
            flops += layer.in_features * positions

    def count(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        sparse = isinstance(layer, (Masked, Compressed))
        channels = layer.weight_shape[0] if sparse else layer.weight.shape[0]
        add(layer, output.numel() // channels)  # h_out * w_out; 1 for a plain linear layer

    def count_attention(attention: Any, inputs: Any, options: dict[str, Any], output: Any) -> None:
        nonlocal flops
        given = dict(zip(("query", "key", "value"), inputs, strict=False)) | options
        for name in ("query", "key", "value"):  # (B, tokens, width), or tokens before B
            width = given[name].shape[-1]
            tokens = given[name].numel() // width
            flops += (2 * attention.embed_dim * width + width) * tokens
        # Attention reads this layer's weight and never calls it.
        add(attention.out_proj, given["query"].numel() // attention.embed_dim)

    hooks = [layer.register_forward_hook(count) for layer in layers.values()]
    for module in model.modules():
        if isinstance(module, nn.MultiheadAttention):
            # A subclass with a forward of its own may well call its layers.
            if type(module).forward is nn.MultiheadAttention.forward:
                hooks.append(module.register_forward_hook(count_attention, with_kwargs=True))
    parameter = next(model.parameters())
    if isinstance(sample, Tensor):
        batch = sample.to(parameter.device).unsqueeze(0)  # (1, ...)
    else:
        batch = torch.zeros(1, *sample, device=parameter.device, dtype=parameter.dtype)
    try:
        with torch.no_grad(), evaluating(model):
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    sparse = {n: m for n, m in layers.items() if isinstance(m, (Masked, Compressed))}
    missed = [n for n, m in sparse.items() if m not in called]
    if missed:
        raise ValueError(
            f"layers {missed} were not called in the forward pass, so their FLOPs are unknown"
        )
    return flops
