"""The training loop's parts against plain restatements of them."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from rigl_edu.lab import checkpoint, train
from rigl_edu.lab.data import digits
from rigl_edu.lab.recipes import RECIPES, Recipe, fast, steps_per_epoch

TINY = Recipe(
    name="tiny",
    chapter=0,
    title="an MLP on a few digits",
    model="mlp",
    model_args={"hidden": (20,)},
    data="digits",
    method="rigl",
    density=0.3,
    distribution="er",
    every=3,
    until=10,
    epochs=3,
    batch=16,
    lr=0.1,
    augment=False,
    checkpoint_every=4,
)


@pytest.fixture(scope="module")
def data():
    return digits().head(70, 50)


def job_of(recipe, data, tmp_path, seed=0):
    return train.make_job(recipe, seed, data, tmp_path / "tiny.pt")


def save_nothing(job):
    pass


def test_learning_rate_of_the_papers_cifar10_recipe():
    recipe = RECIPES["wrn22-rigl-erk-0.1"]
    lr = [train.learning_rate(step, recipe) for step in (0, 29_999, 30_000, 59_999, 60_000, 87_999)]
    assert lr == pytest.approx([0.1, 0.1, 0.02, 0.02, 0.004, 0.004])


def test_learning_rate_warms_up_from_zero():
    recipe = replace(TINY, warmup=1760, drops=(21_760,))
    lr = [train.learning_rate(step, recipe) for step in (0, 880, 1759, 1760, 21_759, 21_760)]
    assert lr == pytest.approx([0, 0.05, 0.1 * 1759 / 1760, 0.1, 0.1, 0.02])


def test_weight_decay_spares_vectors(data, tmp_path):
    job = job_of(replace(RECIPES["mini-rigl-0.1"], augment=False), data, tmp_path)
    decayed, spared = job.optimizer.param_groups
    assert decayed["weight_decay"] == 5e-4 and spared["weight_decay"] == 0
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in spared["params"]} == {1}
    count = len(decayed["params"]) + len(spared["params"])
    assert count == len(list(job.model.parameters()))
    assert all(group["nesterov"] and group["momentum"] == 0.9 for group in (decayed, spared))


def test_dense_training_equals_a_loop_written_out(data, tmp_path):
    recipe = replace(TINY, method="dense", density=1.0, drops=(6,), label_smoothing=0.1)
    job = job_of(recipe, data, tmp_path)
    model = train.make_model(recipe, data)
    model.load_state_dict(job.model.state_dict())
    train.train(job, data, save_nothing)

    velocity = {p: torch.zeros_like(p) for p in model.parameters()}
    x = (data.train_images.float() / 255 - data.mean[:, None, None]) / data.std[:, None, None]
    step = 0
    for epoch in range(3):
        order = torch.randperm(70, generator=train.stream(0, "order", epoch))
        for begin in range(0, 70, 16):
            batch = order[begin : begin + 16]
            model.zero_grad()
            logits = model(x[batch])
            F.cross_entropy(logits, data.train_labels[batch], label_smoothing=0.1).backward()
            lr = 0.1 if step < 6 else 0.02
            with torch.no_grad():
                for p in model.parameters():
                    grad = p.grad + (5e-4 * p if p.ndim > 1 else 0)
                    velocity[p] = 0.9 * velocity[p] + grad
                    p -= lr * (grad + 0.9 * velocity[p])
            step += 1
    assert job.step == step == 15
    for mine, theirs in zip(model.parameters(), job.model.parameters(), strict=True):
        torch.testing.assert_close(theirs, mine)


def test_rewirings_happen_when_the_schedule_says(data, tmp_path, monkeypatch):
    job = job_of(TINY, data, tmp_path)
    changed, step_of = [], job.rule.step
    layers = [m for m in job.model.modules() if hasattr(m, "mask")]

    def watched():
        before = [layer.mask.clone() for layer in layers]
        step_of()
        if any(not torch.equal(b, layer.mask) for b, layer in zip(before, layers, strict=True)):
            changed.append(job.rule.t)

    monkeypatch.setattr(job.rule, "step", watched)
    train.train(job, data, save_nothing)
    assert changed == [3, 6, 9]


def test_partial_batch_is_kept_and_the_loss_is_a_true_mean(data, tmp_path):
    recipe = replace(TINY, epochs=1, lr=0.0, weight_decay=0.0, method="static")
    job = job_of(recipe, data, tmp_path)
    train.train(job, data, save_nothing)
    assert steps_per_epoch(recipe, 70) == job.step == 5
    x = train.normalise(data.train_images, data.mean, data.std)
    expected = F.cross_entropy(job.model(x), data.train_labels).item()
    assert job.curve[0]["train_loss"] == pytest.approx(expected, rel=1e-5)


def test_every_step_crops_anew_and_only_if_told(data, tmp_path, monkeypatch):
    seen, forward = [], train.forward
    monkeypatch.setattr(train, "forward", lambda m, x, r: (seen.append(x), forward(m, x, r))[1])
    job = job_of(replace(TINY, augment=True), data, tmp_path)
    images, labels = data.train_images[:8], data.train_labels[:8]
    for step in (3, 4, 3):
        job.step = step
        train.training_step(job, data, images, labels)
    assert torch.equal(seen[0], seen[2]) and not torch.equal(seen[0], seen[1])
    job.recipe = TINY
    train.training_step(job, data, images, labels)
    assert torch.equal(seen[3], train.normalise(images, data.mean, data.std))
    job.step, job.recipe = 3, replace(TINY, augment=True, crop="zoomed")
    train.training_step(job, data, images, labels)
    zoomed = train.zoom(images, train.stream(0, "crop", 3), data.mean, data.std)
    assert torch.equal(seen[4], zoomed) and not torch.equal(seen[4], seen[0])


def test_the_rule_gets_the_recipes_schedule(data, tmp_path):
    recipe = replace(TINY, every=7, until=9, fraction=0.2, regrown="reset")
    for method in ("set", "snfs", "rigl"):
        rule = job_of(replace(recipe, method=method), data, tmp_path, seed=5).rule
        assert type(rule).__name__.lower() == method
        assert (rule.every, rule.until, rule.fraction, rule.regrown) == (7, 9, 0.2, "reset")
        assert rule.generator.initial_seed() == 5


def test_evaluate_counts_every_image_once_in_evaluation_mode(data, tmp_path):
    recipe = replace(RECIPES["wrn22-dense"], model_args={"depth": 10, "width": 1, "dropout": 0.9})
    job = job_of(recipe, digits(1, 3), tmp_path)
    large = digits(1, 3)
    images, labels = large.train_images[:701], large.train_labels[:701]
    first = train.evaluate(job.model, large, images, labels, recipe)
    job.model.eval()
    with torch.no_grad():
        logits = job.model(train.normalise(images, large.mean, large.std))
    right = (logits.argmax(1) == labels).sum().item()
    assert first == 100 * right / 701
    job.model.train()
    assert train.evaluate(job.model, large, images, labels, recipe) == first
    assert job.model.training


def test_held_out_images_are_not_trained_on_but_watched(data, tmp_path):
    recipe = replace(TINY, held_out=30, epochs=1)
    images, labels = train.training_part(data, recipe)
    assert torch.equal(images, data.train_images[:40]) and len(labels) == 40
    job = job_of(recipe, data, tmp_path)
    train.train(job, data, save_nothing)
    watched = data.train_images[40:], data.train_labels[40:]
    assert job.curve[0]["accuracy"] == train.evaluate(job.model, data, *watched, recipe)
    with pytest.raises(ValueError, match="holds out 70"):
        train.training_part(data, replace(TINY, held_out=70))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precision_of_the_layers(data, tmp_path, precision):
    job = job_of(replace(TINY, precision=precision), data, tmp_path)
    seen = []
    job.model[1].register_forward_hook(lambda m, i, out: seen.append(out.dtype))
    x = train.normalise(data.train_images[:4], data.mean, data.std)
    logits = train.forward(job.model, x, job.recipe)
    assert seen == [train.AUTOCAST[precision]]
    assert logits.dtype == torch.float32 == job.model[1].weight.dtype


def test_fp16_needs_a_gpu(data, tmp_path):
    with pytest.raises(ValueError, match="fp16 needs a CUDA device, not cpu"):
        job_of(replace(TINY, precision="fp16"), data, tmp_path)


def test_learns_digits(tmp_path):
    data = digits()
    job = job_of(replace(TINY, epochs=8, batch=32, every=20, until=200), data, tmp_path)
    train.train(job, data, save_nothing)
    assert job.curve[-1]["accuracy"] > 90


# --- runs that go wrong ----------------------------------------------------------------------


def test_a_non_finite_loss_names_the_step_and_keeps_the_checkpoint(data, tmp_path):
    job = job_of(replace(TINY, checkpoint_every=2, method="static"), data, tmp_path)
    good, real = {}, train.training_step

    def poisoned(job, *args):
        if job.step == 5:
            job.model[1].bias.data[0] = math.nan
        return real(job, *args)

    def save(job):
        checkpoint.save_checkpoint(job, data)
        good.update(step=job.step, content=job.checkpoint.read_bytes())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "training_step", poisoned)
        with pytest.raises(FloatingPointError) as raised:
            train.train(job, data, save)
    assert "nan at step 5 of tiny seed 0" in str(raised.value)
    assert str(job.checkpoint) in str(raised.value)
    assert good["step"] == 4 and job.checkpoint.read_bytes() == good["content"]


def test_non_finite_weights_are_never_saved(data, tmp_path):
    job = job_of(TINY, data, tmp_path)
    checkpoint.save_checkpoint(job, data)
    before = job.checkpoint.read_bytes()
    job.model[1].bias.data[0] = math.inf
    with pytest.raises(FloatingPointError, match="1.bias is not finite at step 0"):
        checkpoint.save_checkpoint(job, data)
    assert job.checkpoint.read_bytes() == before


def test_diverging_without_a_checkpoint(data, tmp_path):
    job = job_of(replace(TINY, lr=1e30, method="static"), data, tmp_path)
    with pytest.raises(FloatingPointError, match="at step [1-9].*there was no checkpoint yet"):
        train.train(job, data, save_nothing)


@pytest.mark.parametrize(
    "change, named",
    [
        ({"recipe": {"name": "other"}}, "'other'"),
        ({"recipe": {"lr": 0.2}}, "'tiny'"),
        ({"seed": 1}, "seed 1"),
        ({"data": (60, 50)}, "'digits'"),
    ],
)
def test_checkpoint_of_another_run_is_refused(data, tmp_path, change, named):
    job = job_of(TINY, data, tmp_path)
    checkpoint.save_checkpoint(job, data)
    theirs = digits().head(*change["data"]) if "data" in change else data
    other = job_of(
        replace(TINY, **change.get("recipe", {})), theirs, tmp_path, change.get("seed", 0)
    )
    before = {name: value.clone() for name, value in other.model.state_dict().items()}
    with pytest.raises(ValueError) as raised:
        checkpoint.load_checkpoint(other, theirs)
    message = str(raised.value)
    ours = checkpoint.described(checkpoint.identity(other.recipe, other.seed, theirs))
    saved = checkpoint.described(checkpoint.identity(job.recipe, job.seed, data))
    assert saved in message and ours in message
    assert named in ours
    after = other.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("content", [b"", b"no checkpoint"])
def test_a_file_that_is_no_checkpoint(data, tmp_path, content):
    job = job_of(TINY, data, tmp_path)
    job.checkpoint.write_bytes(content)
    with pytest.raises(ValueError, match="tiny.pt is not a checkpoint"):
        checkpoint.load_checkpoint(job, data)


# --- engines ---------------------------------------------------------------------------------


def test_the_compiled_engine_trains_the_same_network(data, tmp_path):
    """Same masks after three rewirings, and weights that differ by rounding alone."""
    jobs = []
    for engine in ("eager", "compiled"):
        jobs.append(job_of(replace(TINY, engine=engine), data, tmp_path))
        train.train(jobs[-1], data, save_nothing)
    eager, compiled = (job.model.state_dict() for job in jobs)
    assert jobs[1].net is not jobs[1].model and jobs[0].net is jobs[0].model
    assert eager.keys() == compiled.keys()
    for name, value in eager.items():
        torch.testing.assert_close(compiled[name], value, rtol=1e-4, atol=1e-5)
        assert not name.endswith("mask") or torch.equal(compiled[name], value)
    assert jobs[1].curve[-1]["train_loss"] == pytest.approx(jobs[0].curve[-1]["train_loss"])


def test_the_fast_twin_is_the_same_experiment():
    recipe = RECIPES["wrn22-lottery-0.1"]
    twin = fast(recipe)
    assert (twin.precision, twin.engine, twin.channels_last) == ("bf16", "compiled", True)
    assert twin.ticket_of == fast(RECIPES["wrn22-pruning-0.1"]).name
    said = ("name", "title", "precision", "engine", "channels_last", "ticket_of")
    assert replace(twin, **{name: getattr(recipe, name) for name in said}) == recipe
    with pytest.raises(ValueError, match="engine 'warp', allowed: eager, compiled"):
        replace(recipe, engine="warp")
