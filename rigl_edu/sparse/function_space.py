"""Function space: do two networks say the same, whatever their weights look like?

Two networks of one accuracy may err on the same images or on different ones. The *disagreement* is
the share of test images on which their answers differ, right or wrong. Networks that disagree can
help each other: the average of several answers is then better than one of them. Tickets from one
pruned network disagree little and gain nothing, which shows that they learn its function again.

Everything is in percent, like the package's accuracies; the paper prints disagreement as a
fraction. All networks answer the same images in the same order; ties go to the lower class.

Source: Evci et al. (2022), "Gradient Flow in Sparse Neural Networks and How Lottery Tickets Win",
section on the tickets' function.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Percent of images whose highest logit is the label's.

    Args:
        logits: (N, classes).
        labels: (N,), whole numbers.
    """
    _check_logits([logits], labels)
    return _percent(logits.argmax(dim=1) == labels)


def disagreement(first: Tensor, second: Tensor) -> float:
    """Percent of images for which two networks give different answers.

    Args:
        first: logits of one network, (N, classes).
        second: of the other, the same shape.
    """
    _check_logits([first, second])
    return _percent(first.argmax(dim=1) != second.argmax(dim=1))


def mutual_disagreement(logits: Sequence[Tensor]) -> float:
    """Mean disagreement over all pairs of networks, in percent.

    Args:
        logits: at least two networks', each (N, classes).
    """
    if len(logits) < 2:
        raise ValueError(f"there are logits of {len(logits)} networks; a pair needs 2")
    pairs = list(combinations(logits, 2))
    return sum(disagreement(first, second) for first, second in pairs) / len(pairs)


def ensemble_accuracy(logits: Sequence[Tensor], labels: Tensor) -> float:
    """Accuracy in percent of the networks' averaged probabilities, mean of softmax(logits).

    Averaging logits instead would let one network that is very sure outvote the others.

    Args:
        logits: one network's each, (N, classes).
        labels: (N,).
    """
    _check_logits(logits, labels)
    probabilities = torch.stack([z.softmax(dim=1) for z in logits])  # (networks, N, classes)
    return _percent(probabilities.mean(dim=0).argmax(dim=1) == labels)


def ensemble_gain(logits: Sequence[Tensor], labels: Tensor) -> float:
    """Accuracy of the ensemble minus the mean accuracy of its networks, in points of percent.

    Arguments are those of `ensemble_accuracy`.
    """
    together = ensemble_accuracy(logits, labels)
    return together - sum(accuracy(z, labels) for z in logits) / len(logits)


def _percent(hits: Tensor) -> float:
    return 100 * int(hits.count_nonzero()) / hits.numel()


def _check_logits(logits: Sequence[Tensor], labels: Tensor | None = None) -> None:
    if not logits:
        raise ValueError("there are logits of 0 networks; give at least 1")
    shape = tuple(logits[0].shape)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"logits have shape {shape}; it must be (images, classes), none of them 0")
    for z in logits:
        if tuple(z.shape) != shape:
            raise ValueError(f"logits have shapes {shape} and {tuple(z.shape)}; they must agree")
        if not z.isfinite().all():  # argmax would take a NaN for the highest
            raise ValueError("logits are not all finite, so the network gives no answer")
    if labels is not None and tuple(labels.shape) != shape[:1]:
        raise ValueError(f"labels have shape {tuple(labels.shape)}; it must be {shape[:1]}")
