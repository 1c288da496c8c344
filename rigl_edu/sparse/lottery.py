"""Lottery tickets: train, prune, put the surviving weights back to their start, train again.

If a pruned network trains well from the values its weights started with, and badly from others,
then it had been there from the beginning: a winning ticket in a draw of random numbers. The ticket
is a mask together with these values. Iterative magnitude pruning (`imp`) looks for it in many
small steps; with `rounds=1` and a large fraction the same function is one-shot pruning.

A ticket must do better than its mask with other values, and than its values under another mask:

    start = snapshot(model)                    # sparsify(model, density=1), before training
    ...                                        # imp, or any other way to a sparser mask
    rewind(model, start)                       # the ticket
    rewind(model, snapshot(fresh_model))       # re-initialised: a new draw, the ticket's mask
    shuffle_masks(model, start, seed=0)        # as many weights in each layer, at random places

The ticket of Sundar & Dwaraknath (2021, row "Lottery") is not iterative. Its mask is the last one
of a gradual pruning of the same seed, and stays fixed in a second training of full length:

    model = sparsify(network(seed), density=1)
    start = snapshot(model)
    train_by(GradualPruning(model, new_optimizer(model), 0.2, start=700, until=65918))
    rewind(model, start)
    train_by(Static(model, new_optimizer(model)))

Sources: Frankle & Carbin (2019), "The Lottery Ticket Hypothesis", for the method and both controls;
Frankle et al. (2020), "Linear Mode Connectivity and the Lottery Ticket Hypothesis", for going back
to an early step instead of the first; Ma et al. (2021), "Sanity Checks for Lottery Tickets", for
one-shot tickets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor, nn

from .layers import masked_layers
from .pruning import prune
from .rewinding import Snapshot, layers_with_masks, rewind, snapshot


class Round(NamedTuple):
    """What `imp` tells after each training."""

    number: int  # 0 is the network before any pruning
    density: float  # share of the masked layers' weights that exists
    active: int  # and their number
    masks: dict[str, Tensor]  # bool, by layer; copies, which later rounds do not change


def ticket_sizes(active: int, rounds: int, fraction: float) -> list[int]:
    """Number of weights in each round: n_0 = active, n_r = round((1 - fraction) n_(r-1)).

    Each round takes its share of the weights that are really there, so the n_r may differ by a few
    from round((1 - fraction)^r n_0).

    Raises:
        ValueError: unless 0 < fraction < 1 and rounds >= 0, or if a round would leave no weight,
            or as many as there were.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}; it must be above 0 and below 1")
    if rounds < 0:
        raise ValueError(f"rounds is {rounds}; it must be at least 0")
    sizes = [active]
    for number in range(1, rounds + 1):
        left = round((1 - fraction) * sizes[-1])
        if not 0 < left < sizes[-1]:
            raise ValueError(f"round {number} would leave {left} of {sizes[-1]} weights")
        sizes.append(left)
    return sizes


def imp(
    model: nn.Module, train: Callable[[nn.Module], object], rounds: int, fraction: float = 0.2
) -> Iterator[Round]:
    """Iterative magnitude pruning: train; then prune, rewind and train again, round after round.

        for r in imp(model, train, rounds=10):
            print(r.number, r.density, accuracy(model))

    Each round prunes `fraction` of the weights that are left, the smallest |w| of all masked
    layers in one ranking, and goes back to the model's state at the call of `imp`. To rewind to
    step k instead of 0, train k steps before the call, and let `train` begin at step k. Round 0 is
    then restarted at k with a new optimizer, as all rounds are, and differs from them in the mask
    alone. (facebookresearch/open_lth does it this way too.)

    Args:
        model: a model masked by `sparsify(model, density=1)`. One that is sparse already goes on
            from its masks, which is how an interrupted run is taken up again.
        train: trains the model in place to the end, each time with a new optimizer and the same
            data in the same order.
        rounds: how many prunings; 1 with a large fraction is one-shot pruning.
        fraction: share of the remaining weights that each round prunes; see `ticket_sizes`.

    Yields:
        A `Round` after each training, `rounds` + 1 in all. The model is then in its trained state.
        The next round prunes these weights: use `copy.deepcopy(model)` for controls.

    Raises:
        ValueError: for impossible arguments or a model without masked layers, at the call; later,
            if `train` has left weights off the masks.
    """
    sizes = ticket_sizes(
        sum(layer.active for layer in layers_with_masks(model).values()), rounds, fraction
    )
    # A generator runs nothing before its first round is asked for: so checks and snapshot are here.
    return _rounds(model, train, sizes, snapshot(model))


def _rounds(
    model: nn.Module, train: Callable[[nn.Module], object], sizes: list[int], start: Snapshot
) -> Iterator[Round]:
    layers = masked_layers(model)
    total = sum(layer.mask.numel() for layer in layers.values())
    for number, active in enumerate(sizes):
        prune(model, active / total)  # in round 0 this is the density there is
        rewind(model, start)
        masks = {name: layer.mask.bool() for name, layer in layers.items()}
        train(model)
        for name, layer in layers.items():
            if layer.weight.detach().masked_fill(masks[name], 0).any():
                raise ValueError(
                    f"training moved weights of layer {name!r} that were pruned; begin each "
                    "training with a new optimizer, and keep the masks fixed"
                )
        yield Round(number, active / total, active, masks)
