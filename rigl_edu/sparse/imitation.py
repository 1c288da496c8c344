"""Imitation on a network: choose the few units of a layer to keep, remove the others, next layer.

Each layer imitates the network *as it is when its turn comes*: earlier layers are thin already, and
fine-tuned if the caller does that. The alternative, imitating what the layer did in the network one
began with, would ask for a mean that is no longer the mean of its own units' responses, and D falls
exponentially because it is (the target then lies in the middle of what mixtures can reach). The
cost is that errors add up over the layers; fine-tuning in between is there to take them back.

The three choices take the same arguments: the `model`, one layer's `units`, `batches` of inputs to
compare on, and how many units to `keep` at most.

Source: Ye, Wu & Liu 2020, "Greedy Optimization Provably Wins the Lottery": local and global
imitation, one layer after the other, the better of the two for each. What the target of a later
layer is we have not seen there; the choice above is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .greedy import centred_gram, greedy_line_search
from .greedy_global import greedy_first_order
from .selection import Selection, check_keep
from .unit_responses import output_discrepancy, responses, seen_by
from .units import Units, check_units, keep_units

# (model, units, batches, keep) -> which units to keep
Choice = Callable[[nn.Module, Units, Sequence[Tensor], int], Selection]


def choose_locally(
    model: nn.Module, units: Units, batches: Sequence[Tensor], keep: int
) -> Selection:
    """At most `keep` units whose mixture is nearest to what the consumer gets now (`greedy`)."""
    check_keep(keep, units.n)
    return greedy_line_search(centred_gram(responses(model, units, batches)), keep)[-1]


def choose_globally(
    model: nn.Module,
    units: Units,
    batches: Sequence[Tensor],
    keep: int,
    tolerance: float = 1e-3,
) -> Selection:
    """At most `keep` units that leave the network's output nearest to now (`greedy_global`)."""
    discrepancy = output_discrepancy(model, units, batches)
    return greedy_first_order(discrepancy, units.n, keep, tolerance)[-1]


def choose_better(
    model: nn.Module, units: Units, batches: Sequence[Tensor], keep: int
) -> Selection:
    """Both ways, then the one that leaves the network's output nearer; D is that of the output."""
    discrepancy = output_discrepancy(model, units, batches)
    both = [choose(model, units, batches, keep) for choose in (choose_globally, choose_locally)]
    with torch.no_grad():
        both = [s._replace(discrepancy=float(discrepancy(s.coefficients))) for s in both]
    return min(both, key=lambda selection: selection.discrepancy)


def imitate_layer_by_layer(
    model: nn.Module,
    layers: Sequence[Units],
    batches: Sequence[Tensor],
    keep: Sequence[int],
    choose: Choice = choose_locally,
    fine_tune: Callable[[nn.Module], object] | None = None,
) -> list[Selection]:
    """Make a network thin in place: for each layer choose units, remove the others, fine-tune.

    Args:
        model: a dense network, on the device of the inputs.
        layers: in the order in which to prune them; modules of `model`.
        batches: inputs to imitate on, each a batch as `model` takes it. They are gone through
            again for each layer. `images.split(250)` is one way to make them.
        keep: how many units to keep, one number for each layer.
        choose: `choose_locally`, `choose_globally` or `choose_better`.
        fine_tune: called with the model after each layer, if given. The parameters of the layer
            are new, so it has to make its own optimizer.

    Returns:
        What was chosen, one for each layer, in terms of the units there were.

    Raises:
        ValueError: for layers that do not fit, or an impossible `keep`, before anything changes.
    """
    if len(keep) != len(layers):
        raise ValueError(f"keep has {len(keep)} numbers for {len(layers)} layers")
    if len({units.producer for units in layers}) < len(layers):
        raise ValueError("layers has the same producer twice; each layer is made thin once")
    if not batches:
        raise ValueError("batches is empty; at least 1 batch of inputs is needed")
    for units, number in zip(layers, keep, strict=True):
        check_units(units)
        check_keep(number, units.n)
        if not {module for module in units if module is not None} <= set(model.modules()):
            raise ValueError(f"{units} are not all modules of the model")
        seen_by(units.consumer, model, batches[0][:1])
    selections = []
    for units, number in zip(layers, keep, strict=True):
        selections.append(choose(model, units, batches, number))
        keep_units(units, selections[-1].coefficients)
        if fine_tune is not None:
            fine_tune(model)
    return selections
