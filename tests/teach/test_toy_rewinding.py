"""The rewinding toy's JavaScript trains, prunes and rewinds as `rigl_edu.sparse.imp` does."""

import pytest
import torch

from rigl_edu.sparse import imp, masked_layers, prune, rewind, snapshot
from rigl_edu.teach import toys
from rigl_edu.teach.toys.rewinding import EARLY, ROUNDS, STEPS, descend, loss_of, tiny
from tests.teach.node import run_node, shown_numbers

FRACTION = 1 / 3
DONE = {"trained": 3 * ROUNDS + 1, "rewound": 3 * ROUNDS, "pruned": 3 * ROUNDS - 1}


def shown():
    return shown_numbers(toys.rewinding())


def drawn(seed):
    """The toy's own numbers for seed 0, else a start and a fresh draw of the same kind."""
    net = shown()
    if seed:
        generator = torch.Generator().manual_seed(seed)
        for name in ("start", "fresh"):
            net[name] = (torch.randn(12, generator=generator) / 2).double().tolist()
    return net


def flat(tensors):
    return [value for tensor in tensors for value in tensor.flatten().tolist()]


def weights(model):
    return pytest.approx(flat(layer.weight for layer in masked_layers(model).values()), abs=1e-9)


def mask(model):
    return [bool(on) for on in flat(layer.mask for layer in masked_layers(model).values())]


def to_early(net):
    """The network at step `EARLY`."""
    model = tiny(net["start"])
    descend(model, begin=STEPS - EARLY)  # as many steps; plain descent has no clock
    return model


def the_packages(net, choice):
    """The model after the last training, as the package makes it."""
    if choice == "trained":
        model = tiny(net["start"])
        descend(model)
        for active in (8, 5):
            prune(model, active / 12)
            descend(model)
        return model
    model = to_early(net) if choice == "early" else tiny(net["start"])
    begin = EARLY if choice == "early" else 0
    for _ in imp(model, lambda m: descend(m, begin), ROUNDS, FRACTION):
        pass
    if choice == "fresh":
        rewind(model, snapshot(tiny(net["fresh"])))
        descend(model)
    return model


@pytest.mark.node
@pytest.mark.parametrize("choice", ["start", "early", "trained", "fresh"])
def test_it_ends_where_the_package_ends(choice):
    nets = [drawn(seed) for seed in range(10)]
    ends = run_node(
        "rewinding", [{"net": net, "choice": choice, "done": DONE["trained"]} for net in nets]
    )
    for net, end in zip(nets, ends, strict=True):
        model = the_packages(net, choice)
        assert end["mask"] == mask(model) and sum(end["mask"]) == 5
        assert end["weight"] == weights(model)
        assert end["loss"] == pytest.approx(loss_of(model).item(), abs=1e-9)
        assert [len(curve) for curve in end["curves"][1:]] == [
            STEPS + 1 - (EARLY if choice == "early" else 0)
        ] * ROUNDS


@pytest.mark.node
def test_every_stage_of_a_round():
    net = drawn(0)
    model = tiny(net["start"])
    start = snapshot(model)
    stages = run_node(
        "rewinding", [{"net": net, "choice": "start", "done": done} for done in range(5)]
    )
    assert stages[0]["weight"] == weights(model) and stages[0]["curves"] == []
    descend(model)
    assert stages[1]["weight"] == weights(model)
    prune(model, 8 / 12)
    assert stages[2]["weight"] == weights(model) and stages[2]["mask"] == mask(model)
    assert sum(stages[2]["before"]) == 12
    rewind(model, start)
    assert stages[3]["weight"] == weights(model)
    descend(model)
    assert stages[4]["weight"] == weights(model)
    assert stages[4]["curves"][1][-1][1] == pytest.approx(loss_of(model).item(), abs=1e-9)


@pytest.mark.node
@pytest.mark.parametrize("choice", ["start", "early", "trained", "fresh"])
def test_what_rewinding_puts_back(choice):
    net = drawn(0)
    pruned, rewound = run_node(
        "rewinding",
        [{"net": net, "choice": choice, "done": DONE[stage]} for stage in ("pruned", "rewound")],
    )
    early = flat(layer.weight for layer in masked_layers(to_early(net)).values())
    put = {"start": net["start"], "early": early, "trained": pruned["weight"]}
    values = put.get(choice, net["fresh"])
    assert rewound["mask"] == pruned["mask"]
    expected = [w if on else 0 for w, on in zip(values, rewound["mask"], strict=True)]
    assert rewound["weight"] == pytest.approx(expected, abs=1e-9)


def test_the_words_are_the_packages_losses():
    net, words = shown(), toys.rewinding().plain
    ticket = the_packages(net, "start")
    assert f"5 weights, loss {loss_of(ticket).item():.3f}" in words
    for choice, said in (("fresh", "ends at loss"), ("trained", "the loss is")):
        assert f"{said} {loss_of(the_packages(net, choice)).item():.3f}." in words


def test_the_ticket_learns_both_sides_and_the_fresh_draw_does_not():
    net = shown()
    assert loss_of(the_packages(net, "start")).item() < 0.01
    assert loss_of(the_packages(net, "fresh")).item() > 0.5


def test_training_leaves_pruned_weights_at_zero():
    model = the_packages(shown(), "start")
    for layer in masked_layers(model).values():
        assert not layer.weight[layer.mask == 0].any()
