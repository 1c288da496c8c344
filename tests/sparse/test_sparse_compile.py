"""torch.compile: one graph, and it stays the same graph across a rewiring."""

import pytest
import torch
import torch.nn.functional as F
from torch._dynamo.testing import CompileCounterWithBackend

from rigl_edu.sparse import RigL, sparsify
from tests.sparse.models import batch, convnet, masks_of, same, snapshot, state_off_mask
from tests.sparse.rules import RULES, make_rule, masked


def train(method, compiled: bool):
    model = masked(method, convnet(width=3, norm=True), 0.4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    rule = make_rule(method, model, optimizer, every=3, until=10)
    counter = CompileCounterWithBackend("aot_eager")
    network = torch.compile(model, backend=counter, fullgraph=True) if compiled else model
    history = []
    for t in range(12):
        inputs, targets = batch(model, t)
        optimizer.zero_grad()
        F.cross_entropy(network(inputs), targets).backward()
        rule.step()
        history.append(masks_of(model))
        assert state_off_mask(model, optimizer) == []
    return history, snapshot(model), counter


@pytest.mark.parametrize("method", RULES)
def test_one_graph_and_the_masks_of_eager(method):
    torch._dynamo.reset()
    plain, weights, _ = train(method, compiled=False)
    masks, compiled_weights, counter = train(method, compiled=True)
    assert counter.frame_count == 1  # a graph break or a recompilation makes it more
    for ours, theirs in zip(masks, plain, strict=True):
        assert same(ours, theirs)
    for name, value in weights.items():
        torch.testing.assert_close(compiled_weights[name], value)
    moved = any(not torch.equal(masks[0][name], masks[-1][name]) for name in masks[0])
    assert moved == (method != "Static")


def test_a_rule_may_be_given_the_compiled_model():
    torch._dynamo.reset()
    model = sparsify(convnet(width=3), 0.3)
    network = torch.compile(model, backend="aot_eager", fullgraph=True)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    rule = RigL(network, optimizer, every=2, until=10)
    before = masks_of(model)
    for t in range(4):
        inputs, targets = batch(model, t)
        optimizer.zero_grad()
        F.cross_entropy(network(inputs), targets).backward()
        rule.step()
    assert not same(before, masks_of(model))
