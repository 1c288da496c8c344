"""From masked layers to compressed ones, and back.

`compress` is for whoever wants the seconds that a mask does not save: on a CPU, at high sparsity,
wide linear layers. `decompress` goes back to masked layers, with the same weights and masks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn

from .compressed import Compressed
from .compressed_layers import CompressedConv2d, CompressedLinear, sparse_layers
from .layers import Masked, MaskedConv2d, MaskedLinear
from .optimizer_state import state_tensors

# Below this density, and from this number of weights on, compressed layers train faster than dense
# ones on two CPU cores with AVX2, with some room: `benchmarks/compressed.py` measures both.
PAYS_BELOW = 0.15
PAYS_FROM = 512 * 256
# Right behind a compressed layer a linear layer of any size pays with at most so many active
# weights an input: for an ordinary one the batch would be turned from columns into rows, and its
# gradient back, which costs more.
PAYS_BEHIND = 16

# These read the weights of their own linear layers instead of calling the layers.
READERS = (nn.MultiheadAttention, nn.TransformerEncoderLayer)


def compress(
    model: nn.Module,
    layers: Iterable[str] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
) -> nn.Module:
    """Turn masked layers into compressed ones, in place. They compute the same.

    Linear layers and 1 x 1 convolutions can be compressed. The layers stay the same objects; their
    weights become new parameters, so compress before the optimizer is made, or hand it over. They
    are lists, of one dimension: whoever gives biases no weight decay must not tell them by that.
    Not for several processes with a rule, and in float32 or float64: no half precision, and
    autocast does nothing here.

    Args:
        model: a model that `sparsify` has masked.
        layers: names of layers to compress, as `model.named_modules()` gives them. None: all for
            which it pays on a CPU, by size and present density (`PAYS_FROM`, `PAYS_BELOW`), or
            behind another one by the weights of an input (`PAYS_BEHIND`).
        optimizer: one that owns the weights; it gets the new parameters in their place, and its
            state moves along.

    Returns:
        The model.

    Raises:
        ValueError: for a name that is no masked layer's, or a layer that cannot be compressed.
    """
    masked = {n: m for n, m in sparse_layers(model).items() if isinstance(m, Masked)}
    read = {id(child) for m in model.modules() if isinstance(m, READERS) for child in m.children()}
    if layers is None:
        possible = [n for n, m in masked.items() if _cannot(m, read) == ""]
        chosen = {name: masked[name] for name in _that_pay(model, possible)}
    else:
        names = list(layers)
        unknown = sorted(set(names) - set(masked))
        if unknown:
            raise ValueError(f"layers names {unknown}, but the masked layers are {list(masked)}")
        chosen = {name: masked[name] for name in names}
        for name, layer in chosen.items():
            if _cannot(layer, read):
                raise ValueError(f"layer {name!r} cannot be compressed: {_cannot(layer, read)}")
        paying = _that_pay(model, names)
        slow = [name for name in names if name not in paying]
        if slow:
            warnings.warn(
                f"compressed layers {slow} will be slower than dense ones on a CPU: they are too "
                f"small or not sparse enough (it pays below density {PAYS_BELOW}, from "
                f"{PAYS_FROM} weights on)",
                stacklevel=2,
            )
    for layer in chosen.values():
        old, mask = layer.weight, layer.mask.bool()
        dense = layer.keep_dense_gradient  # a rule may have asked already
        del layer.weight, layer.mask, layer.gradient_is_masked
        kind: type[nn.Module] = CompressedLinear
        if isinstance(layer, nn.Conv2d):
            kind = CompressedConv2d
        compressed = _become(layer, kind)
        assert isinstance(compressed, Compressed)
        compressed.store(old, mask)
        compressed.expect_gradient(dense)
        _exchange(optimizer, old, compressed.values, compressed.pick)
    _choose_layouts(model)
    return model


def decompress(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> nn.Module:
    """Turn all compressed layers back into masked ones, in place.

    Args:
        model: any.
        optimizer: one that owns the values; it gets the weights in their place, and its state
            moves along.

    Returns:
        The model.
    """
    for layer in sparse_layers(model).values():
        if isinstance(layer, Compressed):
            mask, weight = layer.mask, nn.Parameter(layer.dense_weight())
            dense = layer.keep_dense_gradient
            _exchange(optimizer, layer.values, weight, layer.spread)
            kind: type[nn.Module] = MaskedLinear
            if isinstance(layer, CompressedConv2d):
                kind = MaskedConv2d
            layer.__dict__.pop("hands_on_rows", None)
            del layer.values, layer.row_start, layer.column
            masked = _become(layer, kind)
            assert isinstance(masked, Masked)
            masked.weight = weight
            masked.start_masking()
            masked.set_mask(mask)
            masked.expect_gradient(dense)
    return model


def _choose_layouts(model: nn.Module) -> None:
    """Let compressed layers hand on rows where the next layer with parameters is another kind.

    One copy there is cheaper than what follows without it: an ordinary layer of few outputs is
    several times slower on columns, and its gradient comes back as rows, which an activation in
    between would have to multiply with columns. "Next" is the order of `model.modules()`; a wrong
    guess costs time, nothing else.
    """
    layers = [m for m in model.modules() if list(m.parameters(recurse=False))]
    for layer, following in pairwise(layers):
        if isinstance(layer, CompressedLinear):
            layer.hands_on_rows = not isinstance(following, CompressedLinear)


def _become(layer: nn.Module, kind: type[nn.Module]) -> nn.Module:
    """The same object as a layer of another class, as in `sparsify`."""
    layer.__class__ = kind
    return layer


def _cannot(layer: nn.Module, read: set[int]) -> str:
    """Why a masked layer cannot be compressed, or "". `read`: ids of children of `READERS`."""
    if id(layer) in read:
        return "attention, or the encoder layer around it, reads its weight without calling it"
    if isinstance(layer, nn.Linear):
        return ""
    assert isinstance(layer, nn.Conv2d)
    if layer.kernel_size != (1, 1) or layer.padding != (0, 0) or layer.groups != 1:
        return "of the convolutions only 1 x 1, without padding or groups"
    return ""


def _that_pay(model: nn.Module, names: Iterable[str]) -> list[str]:
    """Of the masked layers with these names those that train faster compressed, see `PAYS_BELOW`.

    "Behind" is the order of `model.modules()` among layers with parameters; a wrong guess costs
    time, nothing else.
    """
    wanted, found = set(names), []
    behind = False  # whether the layer before is a linear one that is, or will be, compressed
    for name, layer in model.named_modules():
        if not list(layer.parameters(recurse=False)):
            continue
        pays = isinstance(layer, CompressedLinear)
        if name in wanted and isinstance(layer, (MaskedLinear, MaskedConv2d)):
            total, active = layer.weight.numel(), layer.active
            pays = total >= PAYS_FROM and active < PAYS_BELOW * total
            if isinstance(layer, MaskedLinear) and behind:
                pays = pays or active <= PAYS_BEHIND * layer.in_features
            if pays:
                found.append(name)
        behind = pays and isinstance(layer, nn.Linear | CompressedLinear)
    return found


def _exchange(
    optimizer: torch.optim.Optimizer | None,
    old: Tensor,
    new: nn.Parameter,
    move: Callable[[Tensor], Tensor],
) -> None:
    """Put a parameter in another's place, with the state that belongs to each of its entries."""
    new.requires_grad_(old.requires_grad)
    if optimizer is None:
        return
    for group in optimizer.param_groups:
        group["params"] = [new if p is old else p for p in group["params"]]
    for state, key in state_tensors(optimizer, old):
        state[key] = move(state[key])
    if old in optimizer.state:
        optimizer.state[new] = optimizer.state.pop(old)
