"""The curvature of the loss: all eigenvalues of a small network's Hessian.

A negative eigenvalue is a direction in which the loss falls away on both sides: a way out. Evci et
al. (2022) compare how many of them a sparse network has before and after its mask is updated. A
sparse network can move in its active weights only, so its Hessian is the dense one with the rows
and columns of the masked weights taken out.

The full matrix has P x P entries and takes P backward passes, which only a small network affords.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from .layers import masked_layers

MAX_PARAMETERS = 10_000  # 0.8 GB in float64, and a minute or more for the eigenvalues


@torch.enable_grad()
def hessian(model: nn.Module, loss: Callable[[], Tensor]) -> Tensor:
    """Second derivatives of the loss in all that training can change.

    That is the active weights of masked layers and every entry of the other parameters: biases,
    norms, unmasked layers. Frozen parameters (`requires_grad` off) are left out. The order is that
    of `model.parameters()`, row by row within each.

    Nothing of the model is changed here: no gradient is accumulated, so no hook runs. What `loss`
    does is the caller's: it is called once, and where a batch norm should not update its statistics
    or a dropout not draw, call `model.eval()` first. ReLU is no obstacle: its own second
    derivative is 0 except at 0, and the matrix is that of the linear piece the batch is in.

    Args:
        model: masked or not, with at most `MAX_PARAMETERS` such numbers, P.
        loss: returns the loss on a fixed batch, a scalar that depends on the model's parameters.

    Returns:
        (P, P) in the parameters' precision, symmetric up to rounding.

    Raises:
        ValueError: for too many parameters or none, or a loss that is no scalar or has no gradient.
    """
    masks = {layer.weight: layer.mask for layer in masked_layers(model).values()}
    parameters = [p for p in model.parameters() if p.requires_grad]
    where = [masks.get(p, torch.ones_like(p)).flatten().bool() for p in parameters]
    size = sum(int(on.count_nonzero()) for on in where)
    if size == 0:
        raise ValueError(f"{type(model).__name__} has no parameter that requires a gradient")
    if size > MAX_PARAMETERS:
        gigabytes = size**2 * parameters[0].element_size() / 1e9
        raise ValueError(
            f"the model has {size} active parameters, so its Hessian would take "
            f"{gigabytes:.1f} GB; at most {MAX_PARAMETERS} are allowed"
        )
    value = loss()
    if value.numel() != 1:
        raise ValueError(f"loss has shape {tuple(value.shape)}; it must be a scalar")
    if not value.requires_grad:
        raise ValueError("the loss has no gradient: it was detached or uses no parameter")

    def active(derivatives: Iterable[Tensor]) -> Tensor:
        return torch.cat([d.flatten()[on] for d, on in zip(derivatives, where, strict=True)])

    # A parameter that the loss does not use has derivative 0: materialize_grads.
    first = torch.autograd.grad(value, parameters, create_graph=True, materialize_grads=True)
    gradient = active(first)  # (P,)
    matrix = torch.zeros(size, size, dtype=gradient.dtype, device=gradient.device)
    if not gradient.requires_grad:  # the loss is linear in everything
        return matrix
    # Row by row: on a CPU, batching the rows (`is_grads_batched`) was never faster, and up to six
    # times slower.
    for i in range(size):
        second = torch.autograd.grad(
            gradient[i], parameters, retain_graph=True, materialize_grads=True
        )
        matrix[i] = active(second)
    return matrix


def spectrum(matrix: Tensor) -> Tensor:
    """All eigenvalues of a Hessian, ascending.

    Args:
        matrix: (P, P), symmetric up to rounding; the mean of it and its transpose is meant.

    Returns:
        (P,) in float64 on the CPU, as not every accelerator has float64.

    Raises:
        ValueError: if the matrix is not square or has entries that are not finite.
    """
    if matrix.dim() != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"matrix has shape {tuple(matrix.shape)}; it must be square")
    if not matrix.isfinite().all():
        raise ValueError("matrix has entries that are infinite or NaN; was the loss finite?")
    matrix = matrix.detach().cpu().double()
    return torch.linalg.eigvalsh((matrix + matrix.T) / 2)
