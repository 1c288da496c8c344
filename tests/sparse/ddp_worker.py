"""What each process of the DDP test runs; a module of its own, so that a spawned one imports it."""

from datetime import timedelta

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel

from tests.sparse.models import batch, convnet, masks_of
from tests.sparse.rules import RULES, make_rule, masked, sgd

METHODS = [name for name in RULES if name != "Static"]
STEPS, MICRO = 24, 2


def start(method: str):
    """In float64: sums over ranks are rounded otherwise than sums over a batch."""
    model = masked(method, convnet(width=4).double(), 0.4, seed=3)
    return model, sgd(model)


def train(network, model, rule, rank: int, world: int) -> list[dict[str, torch.Tensor]]:
    """Every rank sees its part of each batch, in two micro-batches; the masks after each step."""
    history = []
    for t in range(STEPS):
        network.zero_grad()
        for micro in range(MICRO):
            inputs, targets = batch(model, MICRO * t + micro)
            mine = slice(rank, None, world)
            loss = F.cross_entropy(network(inputs[mine]), targets[mine]) / MICRO
            if micro < MICRO - 1 and world > 1:
                with network.no_sync():
                    loss.backward()
            else:
                loss.backward()
        rule.step()
        history.append(masks_of(model))
    return history


def worker(rank: int, world: int, folder: str) -> None:
    """One rank: train by each rule and save masks and weights."""
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    patience = timedelta(minutes=5)  # then an error instead of a test that hangs
    dist.init_process_group("gloo", store, timeout=patience, rank=rank, world_size=world)
    for method in METHODS:
        model, optimizer = start(method)
        # No broadcast of buffers: it would hide masks that differ between ranks.
        network = DistributedDataParallel(model, broadcast_buffers=False)
        rule = make_rule(method, network, optimizer, every=3, until=STEPS, seed=1)
        torch.manual_seed(100 + rank)  # what a rank draws for itself must not matter
        history = train(network, model, rule, rank, world)
        torch.save([history, model.state_dict()], f"{folder}/{method}-{rank}.pt")
    dist.destroy_process_group()
