"""The checkers: references pass, and each answer in the museum fails with its mistake named."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rigl_edu.sparse import RigL, UpdateRule, gradient, magnitude
from rigl_edu.sparse import grow as package_grow
from rigl_edu.teach import check, show_source
from rigl_edu.teach.check.result import EXERCISES
from rigl_edu.teach.solutions import ch11 as solution
from tests.teach.museum import Museum

ROOT = Path(__file__).resolve().parents[2]
MUSEUM = Museum(check.ch11, solution)
wrong = MUSEUM.wrong


@pytest.mark.parametrize("exercise", ["cosine_fraction", "grow", "rewire", "upside_down"])
def test_the_reference_passes(exercise, capsys):
    checker = getattr(check.ch11, exercise)
    result = checker(getattr(solution, exercise))
    assert result and result.passed == result.cases == len(checker.cases)
    assert result.hint == "" and f"✓ ch11.{exercise}" in capsys.readouterr().out


def test_the_shown_solution_runs_as_it_stands():
    """What the page shows is enough: paste it, with its imports, and it passes."""
    shown = "\n\n".join(
        str(show_source(getattr(solution, name))).split("```python\n")[1].rstrip("`\n")
        for name in ("cosine_fraction", "grow", "rewire", "smallest_gradient", "upside_down")
    )
    names = {"torch": torch, "UpdateRule": UpdateRule, "magnitude": magnitude}
    names.update(cos=math.cos, pi=math.pi, floor=math.floor)
    exec(shown, names)
    for exercise in ("cosine_fraction", "grow", "rewire", "upside_down"):
        assert getattr(check.ch11, exercise)(names[exercise], quiet=True)


def test_each_exercise_has_three_wrong_answers_hints_and_a_label():
    for exercise in [e for e in EXERCISES.values() if e.name.startswith("ch11.")]:
        name = exercise.name.split(".")[1]
        assert sum(entry.values[0] == name for entry in MUSEUM.entries) >= 3
        assert len(exercise.clues) >= 3 and exercise.minutes > 0
        html = exercise.hints()._repr_html_()
        assert html.count("<details>") == len(exercise.clues) == html.count("</details>")
        assert f"{exercise.minutes} minutes" in exercise._repr_html_()


def test_any_way_to_break_ties_is_accepted():
    def highest_index_first(gradient, kept, k):
        flat = package_grow(gradient.abs().flatten().flip(0), kept.flatten().flip(0), k).flip(0)
        return flat.view(kept.shape)

    assert check.ch11.grow(highest_index_first, quiet=True)


def test_a_float_mask_is_a_mask():
    assert check.ch11.grow(lambda g, kept, k: solution.grow(g, kept, k).float(), quiet=True)


def test_nothing_raises_into_the_notebook_and_the_students_line_is_named(capsys):
    def mine(t, until, fraction):
        return fraction / 0

    result = check.ch11.cosine_fraction(mine)
    assert result.hint == (
        "It raised ZeroDivisionError: float division by zero (in mine: return fraction / 0)"
    )
    assert str(result) in capsys.readouterr().out

    def stub(gradient, kept, k):
        raise NotImplementedError

    assert check.ch11.grow(stub).hint == "Not written yet."
    assert result._ipython_display_() is None  # printed once, not echoed again


def test_a_failing_checker_does_not_read_as_a_failing_answer(monkeypatch):
    monkeypatch.setattr(check.ch13, "float", {}.__getitem__, raising=False)  # fails on any number
    hint = check.ch13.break_even(lambda cost, other: 3, quiet=True).hint
    assert "the checker failed on the int that it returned (KeyError: 3)" in hint
    assert "It raised" not in hint
    assert (
        check.ch13.break_even(lambda cost, other: None, quiet=True).hint == "It returned nothing."
    )
    hint = check.ch13.break_even(lambda cost, other: 1 / 0, quiet=True).hint
    assert hint.startswith("It raised ZeroDivisionError")


def test_a_value_of_the_wrong_kind_did_not_raise():
    hint = check.ch02.cubic_density(lambda *schedule: "half", quiet=True).hint
    assert "the checker failed on the str" in hint and "ValueError" in hint


def test_a_rule_that_fails_after_the_call_is_the_students():
    def bad(layer):
        return layer.gradient.no_such_thing

    def mine(model, optimizer, **schedule):
        return UpdateRule(model, optimizer, drop=magnitude, grow=bad, **schedule)

    hint = check.ch11.upside_down(mine, quiet=True).hint
    assert hint.startswith("It raised AttributeError") and "in bad: return layer" in hint


def test_what_a_function_returns_is_no_function():
    assert "without brackets" in check.ch13.break_even(3, quiet=True).hint


def test_the_receipt_says_what_was_tried():
    code = """
from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch11
check.ch11.grow(lambda gradient, kept, k: kept, quiet=True)
check.ch11.grow(ch11.grow, quiet=True)
check.ch11.rewire(lambda *layer: None, quiet=True)
print(check.receipt("Ada"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    receipt = json.loads(done.stdout)
    assert receipt["student"] == "Ada" and receipt["package"].startswith("rigl_edu ")
    assert (receipt["passed"], receipt["exercises"]) == (1, len(EXERCISES))
    first, second = receipt["results"]
    assert first == {"exercise": "ch11.grow", "passed": True, "tries": 2, "last_hint": ""}
    assert not second["passed"] and "three tensors" in second["last_hint"]


# --- the museum of wrong answers: the cosine ------------------------------------------------------


@wrong("cosine_fraction", "halve it")
def without_half(t, until, fraction):
    return fraction * (1 + math.cos(math.pi * t / until)) if t < until else 0


@wrong("cosine_fraction", "angle must go from 0 to π")
def without_pi(t, until, fraction):
    return fraction / 2 * (1 + math.cos(t / until)) if t < until else 0


@wrong("cosine_fraction", "radians")
def in_degrees(t, until, fraction):
    return fraction / 2 * (1 + math.cos(180 * t / until)) if t < until else 0


@wrong("cosine_fraction", "straight line")
def straight(t, until, fraction):
    return fraction * max(0, 1 - t / until)


@wrong("cosine_fraction", "goes up again")
def never_ending(t, until, fraction):
    return fraction / 2 * (1 + math.cos(math.pi * t / until))


@wrong("cosine_fraction", "upside down")
def minus_cosine(t, until, fraction):
    return fraction / 2 * (1 - math.cos(math.pi * t / until)) if t < until else 0


@wrong("cosine_fraction", "A quarter")
def quarter(t, until, fraction):
    return fraction * math.cos(math.pi / 2 * t / until) if t < until else 0


@wrong("cosine_fraction", "returned nothing")
def nothing(t, until, fraction):
    pass


# --- the museum: growing --------------------------------------------------------------------------


def chosen(scores, kept, k):
    mask = kept.flatten().clone()
    mask[scores.flatten().topk(k).indices] = True
    return mask.view(kept.shape)


@wrong("grow", "a large negative one lowers the loss as much")
def by_signed_gradient(gradient, kept, k):
    return chosen(gradient.masked_fill(kept, -torch.inf), kept, k)


@wrong("grow", "Kept positions took part")
def kept_take_part(gradient, kept, k):
    return chosen(gradient.abs(), kept, k)


@wrong("grow", "use -inf for the kept")
def kept_scored_zero(gradient, kept, k):
    return chosen(gradient.abs() * ~kept, kept, k)


@wrong("grow", "takes all that tie")
def by_threshold(gradient, kept, k):
    scores = gradient.abs().masked_fill(kept, -1)
    return kept | (scores >= scores.flatten().topk(k).values.min())


@wrong("grow", "leaves out those at the threshold")
def above_the_next_score(gradient, kept, k):
    scores = gradient.abs().masked_fill(kept, -1)
    return kept | (scores > scores.flatten().topk(k + 1).values.min())


@wrong("grow", "largest |gradient| first")
def the_smallest(gradient, kept, k):
    return chosen((-gradient.abs()).masked_fill(kept, -torch.inf), kept, k)


@wrong("grow", "only the new positions")
def new_ones_only(gradient, kept, k):
    return solution.grow(gradient, kept, k) & ~kept


@wrong("grow", "in place")
def in_place(gradient, kept, k):
    kept.view(-1)[gradient.abs().masked_fill(kept, -1).flatten().topk(k).indices] = True
    return kept


@wrong("grow", "It grew 2, not 3")
def off_by_one(gradient, kept, k):
    return solution.grow(gradient, kept, k - 1)


@wrong("grow", "mask of shape (6, 6)")
def flattened(gradient, kept, k):
    return solution.grow(gradient, kept, k).flatten()


# --- the museum: the rewiring ---------------------------------------------------------------------


def rewiring(
    count=lambda fraction, mask: math.floor(fraction * int(mask.sum())),
    drop_scores=lambda weight, mask: weight.abs().masked_fill(~mask, torch.inf),
    grow_scores=lambda gradient, mask, kept: gradient.abs().masked_fill(kept, -torch.inf),
    new_weight=lambda weight, mask, kept, after: weight * (after & mask),
    new_momentum=lambda momentum, mask, kept, after: momentum * (after & mask),
):
    """A rewiring of which one part can be wrong."""

    def rewire(weight, mask, gradient, momentum, fraction):
        k = count(fraction, mask)
        kept = mask.flatten().clone()
        kept[drop_scores(weight, mask).flatten().topk(k, largest=False).indices] = False
        kept = kept.view(mask.shape)
        after = chosen(grow_scores(gradient, mask, kept), kept, k)
        return (
            after,
            new_weight(weight, mask, kept, after),
            new_momentum(momentum, mask, kept, after),
        )

    return rewire


def test_the_parts_of_the_wrong_rewirings_are_right_by_themselves():
    assert check.ch11.rewire(rewiring(), quiet=True)


def hang(name, hint, **part):
    answer = rewiring(**part)
    answer.__name__ = name
    wrong("rewire", hint)(answer)


hang(
    "rounds_up",
    "rounded down",
    count=lambda fraction, mask: math.ceil(fraction * int(mask.sum())),
)
hang(
    "one_too_few",
    "2 weights are gone, not 3",
    count=lambda fraction, mask: math.floor(fraction * int(mask.sum())) - 1,
)
hang(
    "drops_weights_that_are_off",
    "Weights that are off are 0",
    drop_scores=lambda weight, mask: weight.abs(),
)
hang(
    "drops_by_sign",
    "a large negative weight is a large weight",
    drop_scores=lambda weight, mask: weight.masked_fill(~mask, torch.inf),
)
hang(
    "never_regrows",
    "Candidates are all positions not kept",
    grow_scores=lambda gradient, mask, kept: gradient.abs().masked_fill(mask, -torch.inf),
)
hang(
    "grows_by_signed_gradient",
    "without its sign",
    grow_scores=lambda gradient, mask, kept: gradient.masked_fill(kept, -torch.inf),
)
hang(
    "grows_by_masked_gradient",
    "the dense gradient is larger elsewhere",
    grow_scores=lambda gradient, mask, kept: (gradient * mask).abs().masked_fill(kept, -torch.inf),
)
hang(
    "kept_take_part_in_growing",
    "Grow as many as were dropped",
    grow_scores=lambda gradient, mask, kept: gradient.abs() + kept.float(),
)
hang(
    "keeps_dropped_weights",
    "the mask is off there: the invariant",
    new_weight=lambda weight, mask, kept, after: weight.clone(),
)
hang(
    "grown_weights_are_random",
    "A grown weight starts with weight 0",
    new_weight=lambda weight, mask, kept, after: weight * (after & mask) + 0.01 * (after & ~mask),
)
hang(
    "resets_regrown_weights",
    "dropped and grown again",
    new_weight=lambda weight, mask, kept, after: weight * kept,
)
hang(
    "leaves_dropped_momentum",
    "The momentum at",
    new_momentum=lambda momentum, mask, kept, after: momentum.clone(),
)
hang(
    "grown_momentum_survives",
    "A grown weight starts with momentum 0",
    new_momentum=lambda momentum, mask, kept, after: momentum * after,
)
hang(
    "resets_all_momentum",
    "though it was kept",
    new_momentum=lambda momentum, mask, kept, after: momentum * 0,
)


@wrong("rewire", "Read the mask to know what is active")
def mask_from_weights(weight, mask, gradient, momentum, fraction):
    return solution.rewire(weight, weight != 0, gradient, momentum, fraction)


@wrong("rewire", "changed its input weight in place")
def rewires_in_place(weight, mask, gradient, momentum, fraction):
    after, new, momentum = solution.rewire(weight, mask, gradient, momentum, fraction)
    return after, weight.copy_(new), momentum


@wrong("rewire", "three tensors")
def only_the_mask(weight, mask, gradient, momentum, fraction):
    return solution.rewire(weight, mask, gradient, momentum, fraction)[0]


# --- the museum: a rule of one's own --------------------------------------------------------------


def rule(drop=magnitude, grow=solution.smallest_gradient):
    return lambda model, optimizer, **schedule: UpdateRule(
        model, optimizer, drop=drop, grow=grow, **schedule
    )


@wrong("upside_down", "This is RigL itself")
def without_minus(model, optimizer, **schedule):
    return RigL(model, optimizer, **schedule)


@wrong("upside_down", "with its sign")
def minus_but_no_abs(model, optimizer, **schedule):
    return rule(grow=lambda layer: -layer.gradient)(model, optimizer, **schedule)


@wrong("upside_down", "Only growing is upside down")
def drops_the_largest(model, optimizer, **schedule):
    return rule(drop=lambda layer: -layer.weight.abs())(model, optimizer, **schedule)


@wrong("upside_down", "The schedule did not reach the rule")
def forgets_the_schedule(model, optimizer, **schedule):
    return rule()(model, optimizer, every=100, until=1000)


@wrong("upside_down", "A minus sign is enough")
def one_over(model, optimizer, **schedule):
    return rule(grow=lambda layer: 1 / layer.gradient.abs())(model, optimizer, **schedule)


@wrong("upside_down", "return the rule")
def returns_nothing(model, optimizer, **schedule):
    rule()(model, optimizer, **schedule)


@wrong("upside_down", "the highest score grows")
def by_small_weights(model, optimizer, **schedule):
    return rule(grow=lambda layer: -gradient(layer) * layer.mask)(model, optimizer, **schedule)


# --- and the visit --------------------------------------------------------------------------------


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_a_wrong_answer_is_rejected_with_its_mistake_named(exercise, answer, hint, capsys):
    result = getattr(check.ch11, exercise)(answer)
    assert not result and not result.ok
    assert hint in result.hint
    assert result.case in str(result) == capsys.readouterr().out.rstrip("\n")


def test_exercises_that_the_text_names_exist():
    pages = [*(ROOT / "book").glob("*.md"), *(ROOT / "pages").glob("*.md")]
    named = {
        name
        for page in pages
        for name in re.findall(r"check\.(ch\d\d\.\w+)", page.read_text("utf-8"))
    }
    assert len(named) > 40
    assert [name for name in sorted(named) if name not in EXERCISES] == []
