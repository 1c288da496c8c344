"""Chapter 5: one solution for each exercise."""

import torch


def barrier(errors):
    """The highest error on the line above the mean of its two ends."""
    return max(errors) - (errors[0] + errors[-1]) / 2


def permuted(first, second, order):
    """The hidden units in another order: rows of the first layer, columns of the second."""
    return first[order], second[:, order]


def repellent(weight, mask, earlier, strength):
    """The mean squared cosine with the earlier solutions on the mask, times strength."""
    if not earlier:
        return torch.tensor(0.0)
    now = (weight * mask).flatten()
    squares = []
    for solution in earlier:
        old = (solution * mask).flatten()
        cosine = now @ old / (now.norm() * old.norm())
        squares.append(cosine**2)
    return strength * sum(squares) / len(squares)


def gain(logits, labels):
    """Accuracy of the averaged probabilities minus the mean accuracy, in points of percent."""

    def percent(scores):
        return 100 * (scores.argmax(1) == labels).float().mean().item()

    together = torch.stack([z.softmax(1) for z in logits]).mean(0)
    alone = [percent(z) for z in logits]
    return percent(together) - sum(alone) / len(alone)
