"""What a pass costs: FLOPs of a forward pass at the current masks, and of training by each method.

Convention, in both papers: multiplications and additions both count, so one multiply-add is two
FLOPs; linear and convolutional layers only, so no norms, activations or pooling; one sample. The
reproduction's counter adds one FLOP for each input of a linear layer (WRN-22-2: 128 of 315460224).
So do we, and our totals equal its own to the last digit.

f_s is the forward cost of the sparse network, f_d that of its dense twin. A backward pass costs two
forward passes: one for the gradient of the inputs, one for that of the weights.

Sources: RigL (Evci et al. 2020), appendix H; Sundar & Dwaraknath (2021), appendix on counting.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .layers import Masked


def forward_flops(model: nn.Module, input_shape: tuple[int, ...], *, dense: bool = False) -> int:
    """FLOPs of one sample's forward pass: each active weight, twice, at each output position.

    Args:
        model: any module; run once on zeros, in evaluation mode, and left as it was.
        input_shape: shape of one sample without the batch, for example (3, 32, 32).
        dense: count the network as if no weight were masked (f_d instead of f_s).

    Raises:
        ValueError: if a masked layer's forward is never called, so that it cannot be counted.
    """
    flops = 0
    called: set[nn.Module] = set()

    def count(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal flops
        called.add(layer)
        weights = layer.active if isinstance(layer, Masked) and not dense else layer.weight.numel()
        channels = output.shape[1] if isinstance(layer, nn.Conv2d) else output.shape[-1]
        positions = output.numel() // channels  # h_out * w_out; 1 for a plain linear layer
        flops += 2 * weights * positions
        if isinstance(layer, nn.Linear):
            flops += layer.in_features * positions

    layers = {n: m for n, m in model.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))}
    hooks = [layer.register_forward_hook(count) for layer in layers.values()]
    modes = {module: module.training for module in model.modules()}
    if not layers:
        raise ValueError(f"{type(model).__name__} has no Linear or Conv2d layer")
    parameter = next(model.parameters())
    try:
        model.eval()
        with torch.no_grad():
            model(torch.zeros(1, *input_shape, device=parameter.device, dtype=parameter.dtype))
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training
    missed = [n for n, m in layers.items() if isinstance(m, Masked) and m not in called]
    if missed:
        raise ValueError(
            f"layers {missed} were not called in the forward pass, so their FLOPs are unknown"
        )
    return flops


def static_flops(f_s: float) -> float:
    """Training FLOPs a sample with fixed masks, and of SET, whose random growth is free: 3 f_s."""
    return 3 * f_s


def rigl_flops(f_s: float, f_d: float, every: int) -> float:
    """RigL: (3 f_s every + 2 f_s + f_d) / (every + 1).

    `every` steps at 3 f_s, then one rewiring: a forward and an input-gradient pass that are sparse
    and one weight gradient that is dense.
    """
    return (3 * f_s * every + 2 * f_s + f_d) / (every + 1)


def snfs_flops(mean_f_s: float, f_d: float) -> float:
    """SNFS: 2 E[f_s] + f_d. Its dense momentum needs the dense weight gradient at every step.

    E[f_s] is the mean over training, since redistribution moves weights to layers that cost more.
    """
    return 2 * mean_f_s + f_d


def pruning_flops(mean_f_s: float) -> float:
    """Gradual pruning: 3 E[f_s], the mean over training of a network that becomes sparser."""
    return 3 * mean_f_s
