"""The training loop: read `train` and `training_step`; everything else serves them."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from rigl_edu.sparse import Rule, forward_flops, repellent_loss
from rigl_edu.sparse.angle import Weights

from . import distributed
from .augment import augment, normalise, stream, zoom
from .data import Dataset
from .methods import make_rule, width_scale
from .models import BUILDERS
from .recipes import Recipe, steps_per_epoch
from .start import earlier_solutions, first_seed, start

AUTOCAST = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class Job:
    """One run in progress: all that a checkpoint has to save.

    Attributes:
        recipe: what to do.
        seed: of the initial weights, the masks, the order of images, crops, dropout.
        model: on the training device.
        net: the same weights as training calls them: compiled, or spread over processes.
        optimizer: SGD with two groups of parameters, with and without weight decay.
        rule: its `step` is called; the optimizer itself for dense training.
        scaler: of fp16 gradients; does nothing in other precisions.
        checkpoint: where `train` saves.
        earlier: the solutions that the repellent loss looks at; mostly none.
        step: optimizer steps and rewirings done so far.
        loss_sum: sum of the losses of this epoch's images so far, float64 scalar on the device.
        curve: a row for each finished epoch, see `epoch_row`.
        train_seconds: time spent in training steps, earlier sessions included.
        wall_before: time spent in earlier sessions.
        started: clock reading at the start of this session.
    """

    recipe: Recipe
    seed: int
    model: nn.Module
    net: Callable[[Tensor], Tensor]
    optimizer: torch.optim.Optimizer
    rule: Rule | torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    checkpoint: Path
    loss_sum: Tensor
    earlier: list[Weights] = field(default_factory=list)
    step: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)
    train_seconds: float = 0.0
    wall_before: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def stream(self, purpose: str, index: int) -> torch.Generator:
        """Random numbers of this run; a twin has others than the run it is a twin of."""
        return stream(self.seed, f"twin's {purpose}" if self.recipe.twin_of else purpose, index)

    @property
    def wall_seconds(self) -> float:
        """Time spent in all, earlier sessions up to their last checkpoint included."""
        return self.wall_before + time.perf_counter() - self.started


class OutOfTime(Exception):
    """A run was stopped before its last step because its time is up; it is saved."""


def train(
    job: Job,
    data: Dataset,
    save: Callable[[Job], None],
    out_of_time: Callable[[], bool] = lambda: False,
) -> None:
    """Train until the recipe's last step, from wherever the job stands.

    Args:
        job: changed in place.
        data: on the training device.
        save: called every `checkpoint_every` steps, at the end, and before stopping early.
        out_of_time: asked after every step whether to stop there.

    Raises:
        FloatingPointError: the loss, or a weight about to be saved, is not finite.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the step was finished and saved first.
        OutOfTime: `out_of_time` said so; saved too.
    """
    recipe, (images, labels) = job.recipe, training_part(data, job.recipe)
    per_epoch = steps_per_epoch(recipe, len(images))
    last = per_epoch * recipe.epochs
    job.model.train()
    hidden = True if distributed.rank() else None  # None: where there is no terminal
    bar = tqdm(total=last, initial=job.step, desc=f"{recipe.name} seed {job.seed}", disable=hidden)
    with bar, signals_wait() as pressed:
        while job.step < last:
            epoch, done = divmod(job.step, per_epoch)
            order = torch.randperm(len(images), generator=job.stream("order", epoch))
            for batch in order.to(images.device).split(recipe.batch)[done:]:
                clock = time.perf_counter()
                loss = training_step(job, data, images[batch], labels[batch])
                job.train_seconds += time.perf_counter() - clock
                job.loss_sum += loss.double() * len(batch)
                job.step += 1
                bar.update()
                if job.step % per_epoch == 0:
                    job.curve.append(epoch_row(job, data, len(images)))
                    job.loss_sum.zero_()
                    bar.set_postfix(accuracy=f"{job.curve[-1]['accuracy']:.2f}")
                early = job.step < last and (bool(pressed) or out_of_time())
                early = distributed.any_of_us(early, images.device)
                if job.step % recipe.checkpoint_every == 0 or job.step == last or early:
                    save(job)
                if pressed:
                    raise KeyboardInterrupt
                if early:
                    raise OutOfTime


def training_step(job: Job, data: Dataset, images: Tensor, labels: Tensor) -> Tensor:
    """One forward and backward pass and one `rule.step()`; returns the mean loss, a scalar.

    The repellent loss, where there is one, is trained on and not part of what is returned.

    Args:
        job: its model, optimizer and rule change.
        data: for mean and standard deviation.
        images: uint8 (B, C, H, W); of several processes each is given all and trains on its part.
        labels: int64 (B,).
    """
    recipe = job.recipe
    for group in job.optimizer.param_groups:
        group["lr"] = learning_rate(job.step, recipe)
    if recipe.augment:
        crop = zoom if recipe.crop == "zoomed" else augment
        inputs = crop(images, job.stream("crop", job.step), data.mean, data.std)
    else:
        inputs = normalise(images, data.mean, data.std)
    mine = distributed.my_part(len(images))
    logits = forward(job.net, inputs[mine], recipe)
    loss = F.cross_entropy(logits, labels[mine], label_smoothing=recipe.label_smoothing)
    # Parts may differ by one image: so weighted, the mean over processes is that over images.
    loss = loss * (len(logits) * distributed.size() / len(images))
    check_loss(job, loss)
    whole = loss
    if job.earlier:
        whole = loss + repellent_loss(job.model, job.earlier, recipe.repellent)
    job.optimizer.zero_grad()
    job.scaler.scale(whole).backward()
    job.scaler.step(job.rule)  # type: ignore[arg-type]  # it asks for param_groups and step only
    job.scaler.update()
    return loss.detach()


def check_loss(job: Job, loss: Tensor) -> None:
    """Raise FloatingPointError if the loss is not finite.

    To look at it is to wait for the GPU, which then idles until the next step is prepared. So there
    it is looked at now and then: a network that has diverged stays so. And before a rewiring, which
    would refuse the gradients with an error that speaks of bad input.
    """
    rewires = not isinstance(job.rule, torch.optim.Optimizer) and job.rule.rewires(job.rule.t + 1)
    if loss.is_cuda and job.step % 100 and not rewires:
        return
    if distributed.any_of_us(not torch.isfinite(loss), loss.device):
        raise not_finite(job, f"the loss is {loss.item()}")


def forward(model: Callable[[Tensor], Tensor], inputs: Tensor, recipe: Recipe) -> Tensor:
    """Logits (B, classes) in float32, computed in the recipe's precision and memory layout."""
    inputs = inputs.contiguous(memory_format=memory_format(recipe, inputs.device))
    dtype = AUTOCAST[recipe.precision]
    with torch.autocast(inputs.device.type, dtype=dtype, enabled=dtype != torch.float32):
        return model(inputs).float()


def memory_format(recipe: Recipe, device: torch.device) -> torch.memory_format:
    """Of weights and images: the recipe's, but never channels_last for a narrow network on a CPU.

    The CPU library under PyTorch (oneDNN, seen with torch 2.14 on AVX2) writes outside its buffers
    in the backward pass of a channels_last 1x1 convolution with stride and fewer than 8 input
    channels. Only small dense networks have such shortcuts; a contiguous layout computes the same.
    """
    narrow = recipe.method == "small_dense" and device.type == "cpu"
    return torch.channels_last if recipe.channels_last and not narrow else torch.contiguous_format


def learning_rate(step: int, recipe: Recipe) -> float:
    """Of the step that follows `step` finished ones: linear warm-up, then drops."""
    if step < recipe.warmup:
        return recipe.lr * step / recipe.warmup
    return recipe.lr * recipe.drop_factor ** sum(step >= drop for drop in recipe.drops)


@torch.no_grad()
def evaluate(
    model: nn.Module, data: Dataset, images: Tensor, labels: Tensor, recipe: Recipe
) -> float:
    """Accuracy in percent over all images (N, C, H, W), in evaluation mode, not augmented."""
    model.eval()
    right = 0
    for begin in range(0, len(images), 500):
        part = slice(begin, begin + 500)
        logits = forward(model, normalise(images[part], data.mean, data.std), recipe)
        right += int((logits.argmax(1) == labels[part]).sum())
    model.train()
    return 100 * right / len(images)


def training_part(data: Dataset, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """The training images and labels without the last `held_out` ones."""
    size = len(data.train_images) - recipe.held_out
    if size < 1:
        raise ValueError(
            f"{recipe.name} holds out {recipe.held_out} training images, "
            f"{data.name} has {len(data.train_images)}"
        )
    return data.train_images[:size], data.train_labels[:size]


def epoch_row(job: Job, data: Dataset, images: int) -> dict[str, Any]:
    """One point of the curve: accuracy on the held-out images, or else on the test images.

    Nothing is ever chosen by it: the result of a run is its last step.
    """
    held_out = job.recipe.held_out
    if held_out:
        watched = data.train_images[-held_out:], data.train_labels[-held_out:]
    else:
        watched = data.test_images, data.test_labels
    return {
        "step": job.step,
        "train_loss": distributed.mean(job.loss_sum).item() / images,
        "accuracy": evaluate(job.model, data, *watched, job.recipe),
        "forward_flops": forward_flops(job.model, data.image_shape),
    }


def make_job(recipe: Recipe, seed: int, data: Dataset, checkpoint: Path) -> Job:
    """A job at step 0 on the data's device. Everything random in it comes from `seed`.

    Raises:
        ValueError: fp16 without a GPU, or a run that this one starts from is not there.
    """
    device = data.train_images.device
    if recipe.precision == "fp16" and device.type != "cuda":
        raise ValueError(f"{recipe.name}: precision fp16 needs a CUDA device, not {device.type}")
    model = first_model(recipe, seed, data, checkpoint)
    if distributed.rank():
        torch.manual_seed(stream(seed, "dropout", distributed.rank()).initial_seed())
    net: Callable[[Tensor], Tensor] = distributed.spread(model)
    if recipe.engine == "compiled":
        # On a GPU the whole forward and backward pass become two recorded graphs, launched at once.
        net = torch.compile(net, mode="reduce-overhead" if device.type == "cuda" else None)
    optimizer = make_optimizer(model, recipe)
    rule = make_rule(model, optimizer, recipe, seed, data, checkpoint)
    scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "fp16")
    loss_sum = torch.zeros((), dtype=torch.float64, device=device)
    earlier = earlier_solutions(recipe, seed, data, checkpoint)
    return Job(recipe, seed, model, net, optimizer, rule, scaler, checkpoint, loss_sum, earlier)


def first_model(recipe: Recipe, seed: int, data: Dataset, checkpoint: Path) -> nn.Module:
    """The network as training starts, with its first masks, on the data's device."""
    torch.manual_seed(first_seed(recipe, seed))
    device = data.train_images.device
    model = make_model(recipe, data).to(device).to(memory_format=memory_format(recipe, device))
    start(model, recipe, seed, data, checkpoint)
    return model


def make_model(recipe: Recipe, data: Dataset, scale: float | None = None) -> nn.Module:
    """The recipe's dense network for this data's image shape and classes, on the CPU.

    Args:
        recipe: its network and method.
        data: for the shapes.
        scale: factor of all channel counts; None for the method's own.
    """
    args, classes = dict(recipe.model_args), len(data.classes)
    args["scale"] = width_scale(recipe) if scale is None else scale
    if recipe.model == "mlp":
        sizes = (math.prod(data.image_shape), *args.pop("hidden"), classes)
        return BUILDERS["mlp"](sizes, **args)
    return BUILDERS[recipe.model](num_classes=classes, in_channels=data.image_shape[0], **args)


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """SGD with Nesterov momentum; biases and batch-norm parameters are not decayed."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=True)


def not_finite(job: Job, what: str) -> FloatingPointError:
    """The error for a run that has diverged."""
    kept = f"the last good checkpoint is kept: {job.checkpoint}"
    if not job.checkpoint.exists():
        kept = "there was no checkpoint yet"
    return FloatingPointError(
        f"{what} at step {job.step} of {job.recipe.name} seed {job.seed}; {kept}. "
        "A lower learning rate or fp32 may help."
    )


@contextmanager
def signals_wait() -> Iterator[list[int]]:
    """Yield a list that Ctrl-C or SIGTERM makes non-empty; the second one interrupts at once.

    A job is consistent only between steps, so a step in progress is allowed to finish. Clusters
    send SIGTERM before they take a machine away.
    """
    pressed: list[int] = []

    def note(number: int, _frame: Any) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield pressed  # only the main thread may handle signals
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield pressed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
