"""Two processes (gloo): the same masks on both, and those of one process with the same batches."""

import pytest
import torch
import torch.multiprocessing as mp

from tests.sparse import ddp_worker
from tests.sparse.rules import make_rule

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this torch has no gloo",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("ddp")
    mp.spawn(ddp_worker.worker, args=(2, str(path)), nprocs=2)
    return path


@pytest.mark.parametrize("method", ddp_worker.METHODS)
def test_trap_19_ranks_agree_with_each_other_and_with_one_process(folder, method):
    """Trap 19: random growth and local gradients make ranks drift apart.

    With gradient accumulation under `no_sync` too.
    """
    runs = [torch.load(folder / f"{method}-{rank}.pt") for rank in (0, 1)]
    model, optimizer = ddp_worker.start(method)
    rule = make_rule(method, model, optimizer, every=3, until=ddp_worker.STEPS, seed=1)
    torch.manual_seed(999)
    alone = ddp_worker.train(model, model, rule, rank=0, world=1)
    changed = 0
    for t, masks in enumerate(alone):
        for name, mask in masks.items():
            assert torch.equal(runs[0][0][t][name], mask), f"rank 0, step {t + 1}, {name}"
            assert torch.equal(runs[1][0][t][name], mask), f"rank 1, step {t + 1}, {name}"
            changed += int((mask ^ alone[t - 1][name]).sum()) if t else 0
    assert changed > 50
    for name, value in model.state_dict().items():
        torch.testing.assert_close(runs[0][1][name], value, rtol=0, atol=1e-12)
        assert torch.equal(runs[0][1][name], runs[1][1][name])
