"""Disagreement and ensembles against loops over lists, and answers worked by hand."""

from math import exp

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rigl_edu.sparse.function_space import (
    accuracy,
    disagreement,
    ensemble_accuracy,
    ensemble_gain,
    mutual_disagreement,
)


def answers(*classes: int) -> torch.Tensor:
    """Logits of a network that gives these answers."""
    return torch.eye(3)[list(classes)]


# --- by hand ------------------------------------------------------------------------------------


def test_disagreement_counts_the_images_answered_differently_in_percent():
    assert disagreement(answers(0, 1, 2, 0), answers(0, 1, 2, 0)) == 0
    assert disagreement(answers(0, 1, 2, 0), answers(0, 2, 1, 0)) == 50
    assert disagreement(answers(0, 0), answers(1, 2)) == 100


def test_disagreement_is_about_answers_not_logits():
    first = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert disagreement(first, 1000 * first - 5) == 0


def test_mutual_disagreement_is_the_mean_of_all_pairs():
    networks = [answers(0, 0, 0, 0), answers(0, 0, 0, 1), answers(0, 0, 1, 1)]
    assert mutual_disagreement(networks) == pytest.approx((25 + 50 + 25) / 3)


def test_three_networks_wrong_on_different_images_gain_from_each_other():
    labels = torch.tensor([0, 1, 2])
    networks = [answers(1, 1, 2), answers(0, 2, 2), answers(0, 1, 0)]  # each 2 of 3 right
    assert [accuracy(z, labels) for z in networks] == [pytest.approx(200 / 3)] * 3
    assert ensemble_accuracy(networks, labels) == 100
    assert ensemble_gain(networks, labels) == pytest.approx(100 / 3)


def test_an_ensemble_of_one_network_and_its_copies_gains_nothing():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 3, generator=generator)
    labels = torch.randint(3, (50,), generator=generator)
    assert ensemble_gain([logits] * 4, labels) == 0


def test_an_ensemble_averages_probabilities_not_logits():
    """Two say class 0 with p = 0.88; the third is very sure of class 1 and must not outvote."""
    mild, sure = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 10.0]])
    assert float((mild + mild + sure).argmax()) == 1
    assert ensemble_accuracy([mild, mild, sure], torch.tensor([0])) == 100  # p = 0.59


# --- loops --------------------------------------------------------------------------------------


def best(row: list[float]) -> int:
    return row.index(max(row))


@settings(max_examples=40)
@given(
    networks=st.integers(2, 4),
    images=st.integers(1, 12),
    classes=st.integers(1, 5),
    seed=st.integers(0, 999),
)
def test_all_are_those_of_slow_loops(networks, images, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    shape = (networks, images, classes)
    # Whole numbers: ties between classes are frequent, and go to the lower one.
    logits = torch.randint(-2, 3, shape, generator=generator).double()
    labels = torch.randint(classes, (images,), generator=generator)
    rows = logits.tolist()

    pairs = []
    for i in range(networks):
        for j in range(i):
            differ = [best(a) != best(b) for a, b in zip(rows[i], rows[j], strict=True)]
            pairs.append(100 * sum(differ) / images)
    assert mutual_disagreement(list(logits)) == pytest.approx(sum(pairs) / len(pairs))

    singles = [
        100 * sum(best(z) == int(y) for z, y in zip(network, labels, strict=True)) / images
        for network in rows
    ]
    right = 0
    for n in range(images):
        mean = [0.0] * classes
        for network in rows:
            powers = [exp(z) for z in network[n]]
            mean = [m + p / sum(powers) / networks for m, p in zip(mean, powers, strict=True)]
        near_best = [c for c in range(classes) if mean[c] > max(mean) - 1e-12]
        if len(near_best) > 1:
            return  # a tie of averages is decided by rounding
        right += near_best[0] == int(labels[n])
    assert ensemble_accuracy(list(logits), labels) == pytest.approx(100 * right / images)
    gain = 100 * right / images - sum(singles) / networks
    assert ensemble_gain(list(logits), labels) == pytest.approx(gain)


# --- bad input ----------------------------------------------------------------------------------

Z = answers(0, 1)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: disagreement(Z, answers(0, 1, 2)), r"\(2, 3\) and \(3, 3\)"),
        (lambda: disagreement(Z[0], Z[0]), r"shape \(3,\)"),
        (lambda: disagreement(Z[:0], Z[:0]), r"shape \(0, 3\)"),
        (lambda: disagreement(Z, Z * float("nan")), "not all finite"),
        (lambda: mutual_disagreement([Z]), "1 networks"),
        (lambda: mutual_disagreement([]), "0 networks"),
        (lambda: ensemble_accuracy([], torch.tensor([0])), "0 networks"),
        (lambda: ensemble_accuracy([Z, Z[:, :2]], torch.tensor([0, 1])), r"\(2, 3\) and \(2, 2\)"),
        (lambda: ensemble_gain([Z], torch.tensor([0])), r"labels have shape \(1,\).*\(2,\)"),
        (lambda: accuracy(Z, torch.tensor([[0], [1]])), r"labels have shape \(2, 1\)"),
    ],
)
def test_bad_input_is_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()
