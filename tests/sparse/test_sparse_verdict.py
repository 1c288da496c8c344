"""The five conditions on tables made by hand: each verdict, each failure, and the spread."""

import copy
from math import sqrt

import pytest

from rigl_edu.sparse.ticket_verdict import verdict

# Three seeds, 0.1 apart: standard deviation 0.1, standard error of a difference 0.082.
SE = sqrt(2 / 300)


def around(mean: float) -> list[float]:
    return [mean - 0.1, mean, mean + 0.1]


def tables(**changes: dict[float, float]) -> dict[str, dict[float, list[float]]]:
    """A clear jackpot, or what the changes make of it; given as means by learning rate."""
    means = {
        "ticket": {0.01: 88.0, 0.1: 92.0},
        "reinit": {0.01: 85.0, 0.1: 90.0},
        "dense": {0.01: 89.0, 0.1: 92.0},
        "small_dense": {0.01: 84.0, 0.1: 86.0},
    }
    means.update(changes)
    return {name: {r: around(m) for r, m in table.items()} for name, table in means.items()}


def judge(density=0.1, tolerance=0.5, enough_epochs=True, **changes):
    return verdict(density, **tables(**changes), tolerance=tolerance, enough_epochs=enough_epochs)


def ticks(result) -> str:
    return "".join("+" if c.holds else "-" for c in result.conditions)


# --- the rule --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "name", "changes"),
    [
        ("+++++", "jackpot winning ticket", {}),
        # The best dense network is elsewhere: 4 is met at 0.1, 5 is not.
        ("++++-", "secondary prize ticket", {"dense": {0.01: 93.0, 0.1: 92.0}}),
        # Behind dense at both learning rates.
        ("+++--", "no winning ticket", {"dense": {0.01: 89.0, 0.1: 93.0}}),
        # Re-init is as good, though only at a learning rate that is not the ticket's best.
        ("++-++", "no winning ticket", {"reinit": {0.01: 91.8, 0.1: 85.0}}),
        ("+-+++", "no winning ticket", {"small_dense": {0.01: 91.8, 0.1: 85.0}}),
        ("-++++", "no winning ticket", {"density": 0.5}),
        ("-++++", "no winning ticket", {"enough_epochs": False}),
        ("-----", "no winning ticket", {"density": 1.0, "ticket": {0.01: 60.0, 0.1: 70.0}}),
    ],
)
def test_each_condition_fails_by_itself(expected, name, changes):
    result = judge(**changes)
    assert ticks(result) == expected
    assert result.name == name and result.decided
    assert [c.number for c in result.conditions] == [1, 2, 3, 4, 5]


def test_winning_at_a_small_learning_rate_only_is_not_condition_3():
    """The paper's lesson: far above re-init at 0.01, but re-init has a better rate of its own."""
    result = judge(
        ticket={0.01: 88.0, 0.1: 90.0},
        reinit={0.01: 80.0, 0.1: 90.0},
        dense={0.01: 88.0, 0.1: 92.0},
    )
    assert ticks(result) == "++-+-" and result.name == "no winning ticket"


def test_conditions_3_and_4_may_hold_at_different_learning_rates():
    """Above every re-init at 0.1, level with dense at 0.01 only."""
    result = judge(ticket={0.01: 89.0, 0.1: 92.0}, dense={0.01: 89.0, 0.1: 94.0})
    assert result.name == "secondary prize ticket"
    assert result.conditions[2].rates == (0.1, 0.1)
    assert result.conditions[3].rates == (0.01, 0.01)


def test_conditions_4_and_5_are_met_by_a_ticket_better_than_dense():
    result = judge(dense={0.01: 70.0, 0.1: 80.0})
    assert result.name == "jackpot winning ticket"
    assert result.conditions[4].difference == 12


def test_a_baseline_may_have_learning_rates_of_its_own():
    result = judge(
        reinit={0.01: 85.0, 0.1: 85.0, 0.3: 91.9}, small_dense={0.01: 1.0, 0.1: 2.0, 1.0: 87.0}
    )
    assert ticks(result) == "++-++"
    assert result.conditions[2].rates == (0.1, 0.3)
    assert result.conditions[1].rates == (0.1, 1.0)


@pytest.mark.parametrize(
    ("density", "holds"), [(0.38, True), (0.4, True), (0.40003, True), (0.41, False), (0.6, False)]
)
def test_sixty_per_cent_removed_is_enough(density, holds):
    """Density is the share left: 0.6 left is not 60 % removed."""
    condition = judge(density).conditions[0]
    assert condition.holds == holds and condition.decided
    assert condition.difference == pytest.approx(100 - 100 * density)


@pytest.mark.parametrize(
    ("gap", "similar", "above"),
    [(-0.6, False, False), (-0.5, True, False), (0.0, True, False), (0.5, True, False)]
    + [(0.6, True, True)],
)
def test_the_tolerance_itself_is_similar_and_not_clearly_above(gap, similar, above):
    """87.8 + 0.5 and the like are not exact in floating point."""
    at = 87.8
    result = judge(ticket={0.1: at + gap}, reinit={0.1: at}, dense={0.1: at}, small_dense={0.1: at})
    assert [c.holds for c in result.conditions[1:]] == [above, above, similar, similar]


@pytest.mark.parametrize(
    ("tolerance", "expected"), [(0.5, "+++--"), (1.0, "+++++"), (2.5, "++-++")]
)
def test_the_tolerance_of_the_data_set_decides(tolerance, expected):
    assert ticks(judge(tolerance=tolerance, dense={0.01: 89.0, 0.1: 92.9})) == expected


def test_the_order_of_learning_rates_does_not_matter():
    backwards = {n: dict(reversed(t.items())) for n, t in tables().items()}
    assert verdict(0.1, **backwards, tolerance=0.5, enough_epochs=True) == judge()


# --- the spread ------------------------------------------------------------------------------


def test_differences_and_their_standard_errors_by_hand():
    """s^2 = 2 over n = 2 and s^2 = 9 over n = 3: sqrt(2/2 + 9/3) = 2."""
    result = verdict(
        0.1,
        ticket={0.1: [89.0, 91.0]},
        reinit={0.1: [77.0, 80.0, 83.0]},
        dense={0.1: [90.0, 90.0]},
        small_dense={0.1: [70.0, 72.0]},
        tolerance=0.5,
        enough_epochs=True,
    )
    assert [c.difference for c in result.conditions[1:]] == [19, 10, 0, 0]
    assert [c.threshold for c in result.conditions[1:]] == [0.5, 0.5, -0.5, -0.5]
    errors = [sqrt(2 / 2 + 2 / 2), sqrt(2 / 2 + 9 / 3), sqrt(2 / 2), sqrt(2 / 2)]
    assert [c.error for c in result.conditions[1:]] == pytest.approx(errors)
    # 18.5 > 2.8, 9.5 > 4, but 0.5 < 2.
    assert [c.decided for c in result.conditions] == [True, True, True, False, False]
    assert result.name == "jackpot winning ticket" and not result.decided


@pytest.mark.parametrize(("beyond", "decided"), [(-2.1, True), (-1.9, False), (1.9, False)])
@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_decided_means_two_standard_errors_from_the_threshold(number, beyond, decided):
    threshold = 0.5 if number in (2, 3) else -0.5
    other = 92.0 - threshold - beyond * SE
    which = {2: "small_dense", 3: "reinit", 4: "dense", 5: "dense"}[number]
    condition = judge(**{which: {0.01: 90.0, 0.1: other}}).conditions[number - 1]
    assert condition.error == pytest.approx(SE)
    assert condition.decided == decided and condition.holds == (beyond > 0)


def test_one_seed_decides_nothing():
    for alone in ("ticket", "reinit", "dense", "small_dense"):
        table = tables()
        table[alone] = {r: values[1:2] for r, values in table[alone].items()}
        result = verdict(0.1, **table, tolerance=0.5, enough_epochs=True)
        touched = {"ticket": [2, 3, 4, 5], "reinit": [3], "dense": [4, 5], "small_dense": [2]}[
            alone
        ]
        assert [c.number for c in result.conditions if not c.decided] == touched
        assert all((c.error is None) == (c.number in touched) for c in result.conditions)
        assert result.name == "jackpot winning ticket" and not result.decided


def test_one_sure_failure_decides_against_a_ticket():
    """Condition 3 is open, but 2 fails for sure; a sure failure of 5 alone would not do."""
    open_3 = {"reinit": {0.01: 85.0, 0.1: 91.45}}
    assert not judge(**open_3).decided
    assert judge(**open_3, small_dense={0.01: 85.0, 0.1: 95.0}).decided
    assert not judge(**open_3, dense={0.01: 95.0, 0.1: 92.0}).decided


def test_an_unsure_failure_does_not_decide():
    result = judge(small_dense={0.01: 85.0, 0.1: 91.55})
    assert ticks(result) == "+-+++" and not result.decided


def test_inputs_are_only_read():
    table = tables()
    before = copy.deepcopy(table)
    verdict(0.1, **table, tolerance=0.5, enough_epochs=True)
    assert table == before


# --- print -----------------------------------------------------------------------------------


def test_the_printed_table():
    result = judge(0.107, dense={0.01: 93.0, 0.1: 92.0})
    assert str(result).splitlines() == [
        "secondary prize ticket (decided); 89.3 % removed, 10.7 % left",
        "",
        "  condition                      difference threshold  s.e.  learning rate holds decided",
        "1 sparse and trained long enough     +89.30    +60.00  0.00  -             yes   yes",
        "2 above small dense                   +6.00     +0.50  0.08  0.1 / 0.1     yes   yes",
        "3 above re-init at any rate           +2.00     +0.50  0.08  0.1 / 0.1     yes   yes",
        "4 similar to dense, same rate         +0.00     -0.50  0.08  0.1 / 0.1     yes   yes",
        "5 similar to dense, any rate          -1.00     -0.50  0.08  0.1 / 0.01    no    yes",
    ]


def test_the_printed_table_shows_what_one_seed_cannot_say():
    table = {name: {0.1: [a]} for name, a in zip(tables(), (90, 80, 90, 70), strict=True)}
    lines = str(verdict(0.1, **table, tolerance=0.5, enough_epochs=True)).splitlines()
    assert lines[0].startswith("jackpot winning ticket (undecided: needs more seeds)")
    assert "  ?  " in lines[-1] and lines[-1].endswith("yes   no")


# --- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"density": 0}, "density is 0"),
        ({"density": 90}, "density is 90"),
        ({"tolerance": -0.1}, "tolerance is -0.1"),
        ({"tolerance": float("nan")}, "tolerance is nan"),
        ({"tolerance": 100}, "tolerance is 100"),
        ({"ticket": {}}, "ticket is empty"),
        ({"reinit": {0.1: 80.0}}, r"reinit has no accuracies .* \[0.01\]"),
        ({"dense": {0.01: 80.0, 0.2: 90.0}}, r"dense has no accuracies .* \[0.1\]"),
        ({"small_dense": {}}, r"small_dense has no accuracies .* \[0.01, 0.1\]"),
        ({"dense": {0.01: 80.0, 0.1: 100.0}}, r"dense at learning rate 0.1 is .*100.1"),
        ({"ticket": {0.01: 0.0, 0.1: 90.0}}, r"ticket at learning rate 0.01 is \[-0.1"),
        ({"reinit": {0.01: float("nan"), 0.1: 90.0}}, "reinit at learning rate 0.01 is .*nan"),
    ],
)
def test_impossible_input_is_refused(changes, match):
    with pytest.raises(ValueError, match=match):
        judge(**changes)


def test_a_learning_rate_without_seeds_is_refused():
    table = tables()
    table["dense"][0.3] = []
    with pytest.raises(ValueError, match=r"dense at learning rate 0.3 is \[\]"):
        verdict(0.1, **table, tolerance=0.5, enough_epochs=True)


def test_fractions_instead_of_per_cent_are_refused():
    table = {n: {r: [a / 100 for a in v] for r, v in t.items()} for n, t in tables().items()}
    with pytest.raises(ValueError, match="give per cent, not fractions"):
        verdict(0.1, **table, tolerance=0.5, enough_epochs=True)
