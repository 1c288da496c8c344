"""Train, prune, rewind: a network of twelve weights, and four places to send them back to."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...sparse import imp, masked_layers, prune, rewind, snapshot, sparsify, ticket_sizes
from ..html import Html
from .card import card

UNITS, STEPS, EARLY, RATE, ROUNDS, FRACTION = 6, 30, 5, 0.05, 2, 1 / 3
# To learn: x to the right of 0, -0.8 x to the left. It takes a unit on either side.
X = [-2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0]
Y = [1.6, 1.2, 0.8, 0.4, 0.5, 1.0, 1.5, 2.0]
# Six weights into the hidden units, then six out of them. Small random numbers, chosen so that the
# fresh draw, unlike the ticket, ends without a unit on the left side when five weights are left.
START = [0.18, 0.41, 0.16, -0.65, 0.46, 0.22, -0.27, 0.29, 0.18, 0.14, 0.02, 0.28]
FRESH = [-0.37, -0.08, -0.24, 0.30, 0.02, -0.15, -0.39, -0.13, 0.03, -0.14, 0.65, 0.50]


def tiny(values: list[float] = START) -> nn.Sequential:
    """The toy's network with these weights: one input, six ReLU units, one output, no biases."""
    into = nn.Linear(1, UNITS, bias=False)
    out_of = nn.Linear(UNITS, 1, bias=False)
    model = nn.Sequential(into, nn.ReLU(), out_of).double()
    numbers = torch.tensor(values, dtype=torch.float64)
    with torch.no_grad():
        into.weight.copy_(numbers[:UNITS].view(UNITS, 1))
        out_of.weight.copy_(numbers[UNITS:].view(1, UNITS))
    sparsify(model, density=1)
    return model


def loss_of(model: nn.Module) -> Tensor:
    """Mean squared error on the eight points."""
    x, y = torch.tensor([X, Y], dtype=torch.float64).unsqueeze(-1)  # (8, 1) each
    return F.mse_loss(model(x), y)


def descend(model: nn.Module, begin: int = 0) -> None:
    """Gradient descent on all points, from step `begin` to the end."""
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for _ in range(begin, STEPS):
        optimizer.zero_grad()
        loss_of(model).backward()
        optimizer.step()


def rewinding() -> Html:
    """Iterative magnitude pruning of twelve weights, where the reader chooses what to rewind to."""
    model = tiny()
    sizes = ticket_sizes(2 * UNITS, ROUNDS, FRACTION)
    ticket = []
    for _ in imp(model, descend, ROUNDS, FRACTION):
        ticket.append(loss_of(model).item())
    masks = {name: layer.mask.clone() for name, layer in masked_layers(model).items()}

    control = tiny()
    for name, layer in masked_layers(control).items():
        layer.set_mask(masks[name])
    rewind(control, snapshot(tiny(FRESH)))
    descend(control)

    kept = tiny()
    descend(kept)
    for active in sizes[1:]:
        prune(kept, active / sizes[0])
        descend(kept)

    steps = "; ".join(
        f"{active} weights, loss {loss:.3f}" for active, loss in zip(sizes, ticket, strict=True)
    )
    plain = (
        "Here you would press train, prune and rewind in turn, and choose what the surviving "
        f"weights go back to. The network has {UNITS} hidden units and {sizes[0]} weights and "
        f"learns eight points in {STEPS} steps. With rewinding to the start the rounds end like "
        f"this: {steps}. The last mask with freshly drawn weights ends at loss "
        f"{loss_of(control).item():.3f}. Pruned as often and trained on without rewinding, the "
        f"loss is {loss_of(kept).item():.3f}."
    )
    numbers = {
        "x": X,
        "y": Y,
        "start": START,
        "fresh": FRESH,
        "steps": STEPS,
        "early": EARLY,
        "rate": RATE,
        "fraction": FRACTION,
        "rounds": ROUNDS,
    }
    return card("rewinding", "Train, prune, rewind", numbers, plain)
