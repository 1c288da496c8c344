"""Chapter 5's checkers: references pass, wrong answers fail with their mistake named."""

import pytest
import torch
from torch.nn.functional import one_hot

from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch05 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch05, solution)


def test_the_references_pass():
    MUSEUM.the_references_pass()


def test_the_shown_solutions_run_as_they_stand():
    MUSEUM.the_shown_solutions_run("import torch")


def test_each_exercise_has_three_wrong_answers_hints_and_a_label():
    MUSEUM.is_complete()


def test_a_plain_zero_without_earlier_solutions_is_accepted():
    def repellent(weight, mask, earlier, strength):
        return solution.repellent(weight, mask, earlier, strength) if earlier else 0

    assert check.ch05.repellent(repellent, quiet=True)


# --- the barrier ----------------------------------------------------------------------------------


@MUSEUM.wrong("barrier", "the highest error itself")
def highest(errors):
    return max(errors)


@MUSEUM.wrong("barrier", "not of the whole list")
def above_the_mean(errors):
    return max(errors) - sum(errors) / len(errors)


@MUSEUM.wrong("barrier", "Only the first end")
def above_the_first(errors):
    return max(errors) - errors[0]


@MUSEUM.wrong("barrier", "Only the last end")
def above_the_last(errors):
    return max(errors) - errors[-1]


@MUSEUM.wrong("barrier", "half of that")
def both_ends(errors):
    return max(errors) - (errors[0] + errors[-1])


@MUSEUM.wrong("barrier", "wrong way round")
def negative(errors):
    return -solution.barrier(errors)


@MUSEUM.wrong("barrier", "not the middle one")
def middle(errors):
    return errors[len(errors) // 2] - (errors[0] + errors[-1]) / 2


@MUSEUM.wrong("barrier", "may be one of them")
def without_ends(errors):
    return max(errors[1:-1]) - (errors[0] + errors[-1]) / 2


@MUSEUM.wrong("barrier", "A valley is no barrier")
def largest_change(errors):
    ends = (errors[0] + errors[-1]) / 2
    return max(abs(error - ends) for error in errors)


@MUSEUM.wrong("barrier", "returned nothing")
def no_barrier(errors):
    pass


# --- hidden units in another order ----------------------------------------------------------------


@MUSEUM.wrong("permuted", "Nothing moved")
def unmoved(first, second, order):
    return first, second


@MUSEUM.wrong("permuted", "still reads the units in the old order")
def only_the_first(first, second, order):
    return first[order], second


@MUSEUM.wrong("permuted", "still writes the units in the old order")
def only_the_second(first, second, order):
    return first, second[:, order]


@MUSEUM.wrong("permuted", "puts unit i at place order[i]")
def the_other_way(first, second, order):
    back = order.argsort()
    return first[back], second[:, back]


@MUSEUM.wrong("permuted", "opposite ways")
def undone(first, second, order):
    return first[order], second[:, order.argsort()]


@MUSEUM.wrong("permuted", "in place")
def in_place(first, second, order):
    new = solution.permuted(first, second, order)
    return first.copy_(new[0]), second.copy_(new[1])


@MUSEUM.wrong("permuted", "two tensors")
def one_of_them(first, second, order):
    return first[order]


# --- the repellent loss ---------------------------------------------------------------------------


def cosines(weight, mask, earlier):
    now = (weight * mask).flatten()
    return [torch.cosine_similarity(now, (old * mask).flatten(), dim=0) for old in earlier]


def zero_or(loss):
    """An answer that is right about the empty list and wrong in one other way."""

    def repellent(weight, mask, earlier, strength):
        return strength * loss(weight, mask, earlier) if earlier else torch.tensor(0.0)

    return repellent


def hang(name, hint, loss):
    MUSEUM.hang("repellent", name, hint, zero_or(loss))


hang("not_squared", "Square the cosine", lambda w, m, old: sum(cosines(w, m, old)) / len(old))
hang(
    "sum_instead_of_mean",
    "not their sum",
    lambda w, m, old: sum(c**2 for c in cosines(w, m, old)),
)
hang("only_the_last", "Only the last", lambda w, m, old: cosines(w, m, old)[-1] ** 2)
hang("only_the_first", "Only the first", lambda w, m, old: cosines(w, m, old)[0] ** 2)
hang(
    "mean_then_square",
    "Square each cosine",
    lambda w, m, old: (sum(cosines(w, m, old)) / len(old)) ** 2,
)
hang(
    "mask_forgotten",
    "multiply them by the mask",
    lambda w, m, old: sum(c**2 for c in cosines(w, torch.ones_like(m), old)) / len(old),
)
hang(
    "not_divided_by_lengths",
    "Divide the product by both lengths",
    lambda w, m, old: sum((w * m * o).sum() ** 2 for o in old) / len(old),
)
hang(
    "a_plain_number",
    "without `.item()`",
    lambda w, m, old: sum(c.item() ** 2 for c in cosines(w, m, old)) / len(old),
)


@MUSEUM.wrong("repellent", "The strength is missing")
def without_strength(weight, mask, earlier, strength):
    return solution.repellent(weight, mask, earlier, 1.0)


@MUSEUM.wrong("repellent", "ZeroDivisionError")
def no_earlier_solution(weight, mask, earlier, strength):
    return strength * sum(c**2 for c in cosines(weight, mask, earlier)) / len(earlier)


# --- what an ensemble gains -----------------------------------------------------------------------


def percent(scores, labels):
    return 100 * (scores.argmax(1) == labels).float().mean().item()


def alone(logits, labels):
    return [percent(z, labels) for z in logits]


def average(values):
    return sum(values) / len(values)


def together(logits, labels):
    return percent(torch.stack([z.softmax(1) for z in logits]).mean(0), labels)


@MUSEUM.wrong("gain", "not the logits")
def of_logits(logits, labels):
    return percent(torch.stack(logits).mean(0), labels) - average(alone(logits, labels))


@MUSEUM.wrong("gain", "counts votes")
def of_votes(logits, labels):
    votes = torch.stack([one_hot(z.argmax(1), 3) for z in logits]).sum(0)
    return percent(votes.float(), labels) - average(alone(logits, labels))


@MUSEUM.wrong("gain", "subtract the mean accuracy of its networks")
def ensemble_alone(logits, labels):
    return together(logits, labels)


@MUSEUM.wrong("gain", "not the best one's")
def above_the_best(logits, labels):
    return together(logits, labels) - max(alone(logits, labels))


@MUSEUM.wrong("gain", "A fraction")
def as_a_fraction(logits, labels):
    return solution.gain(logits, labels) / 100


@MUSEUM.wrong("gain", "wrong way round")
def other_sign(logits, labels):
    return -solution.gain(logits, labels)


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_a_wrong_answer_is_rejected_with_its_mistake_named(exercise, answer, hint):
    MUSEUM.rejects(exercise, answer, hint)


@MUSEUM.wrong("repellent", "no gradient for `weight`")
def starts_a_new_graph(weight, mask, earlier, strength):
    return torch.tensor(
        float(solution.repellent(weight, mask, earlier, strength)), requires_grad=True
    )


@MUSEUM.wrong("repellent", "lengths have one too")
def takes_lengths_as_numbers(weight, mask, earlier, strength):
    now = (weight * mask).flatten()
    if not earlier:
        return 0 * now.sum()
    olds = [(old * mask).flatten() for old in earlier]
    cosines = [now @ old / (now.norm().item() * old.norm().item()) for old in olds]
    return strength * sum(c**2 for c in cosines) / len(cosines)


def gain_of(scores, logits, labels):
    """The ensemble's gain if it adds up these scores, (images, classes) each."""

    def right(p):
        return 100 * (p.argmax(1) == labels).float().mean()

    alone = sum(right(z) for z in logits) / len(logits)
    return float(right(sum(scores)) - alone)


@MUSEUM.wrong("gain", "a sigmoid looks at each class by itself")
def squashes_by_a_sigmoid(logits, labels):
    return gain_of([z.sigmoid() for z in logits], logits, labels)


@MUSEUM.wrong("gain", "not over the images")
def softmax_over_images(logits, labels):
    return gain_of([z.softmax(0) for z in logits], logits, labels)
