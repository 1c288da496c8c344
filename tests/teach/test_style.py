"""The book's figures: one look for each method, and pictures that say what they should."""

import io
import itertools

import matplotlib
import pytest
from matplotlib.colors import to_rgb

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

from rigl_edu.lab.paper import NAMES  # noqa: E402
from rigl_edu.lab.recipes import METHODS, THIN, TICKETS  # noqa: E402
from rigl_edu.sparse import drop, grow  # noqa: E402
from rigl_edu.teach import six_by_six, style  # noqa: E402


@pytest.fixture(autouse=True)
def styled():
    with matplotlib.rc_context():
        style.set_style()
        yield
    plt.close("all")


def rewired():
    layer = six_by_six()
    kept = drop(layer.weight.abs(), layer.mask, 3)
    return layer, kept, grow(layer.gradient.abs(), kept, 3)


def written(ax):
    return [text.get_text() for text in ax.texts]


def test_each_method_has_its_own_colour_and_marker():
    looks = list(style.METHODS.values())
    assert len({look.color for look in looks}) == len({look.marker for look in looks}) == len(looks)
    for a, b in itertools.combinations(looks, 2):
        assert np.abs(np.subtract(to_rgb(a.color), to_rgb(b.color))).sum() > 0.2, (a, b)


def test_every_method_of_the_reproduction_has_a_look_and_a_name():
    of_other_papers = {*TICKETS, *THIN} - {"lottery"}
    methods = set(METHODS) - of_other_papers
    assert methods == set(style.METHODS) == set(NAMES)


def test_a_look_is_found_by_key_and_by_label():
    for key, look in style.METHODS.items():
        assert style.look(key) == style.look(look.label) == look
    with pytest.raises(ValueError, match="no look for method 'adam'; there is one for dense"):
        style.look("adam")


def test_a_grid_writes_the_active_weights_with_their_sign():
    layer, *_ = rewired()
    ax = style.mask_grid(layer.mask, layer.weight, title="one layer")
    assert len(ax.patches) == 36 and ax.get_title() == "one layer"
    assert written(ax) == [f"{w:+.2f}".replace("-", "−") for w in layer.weight[layer.mask].tolist()]
    assert written(style.mask_grid(layer.mask)) == []


def test_a_strip_counts_and_marks_what_was_dropped_and_grown():
    layer, kept, after = rewired()
    before_ax, drop_ax, grow_ax = style.update_strip(layer.mask, kept, after, layer.weight).axes
    assert [ax.get_title() for ax in (before_ax, drop_ax, grow_ax)] == [
        "before: 12 active",
        "drop 3: 9 left",
        "grow 3: 12 active",
    ]
    assert written(drop_ax).count("×") == 3 and written(grow_ax).count("+") == 3
    assert written(grow_ax).count("0.00") == 2 and "+0.08" in written(grow_ax)  # one came back


def test_a_strip_whose_masks_do_not_follow_each_other_is_refused():
    layer, kept, after = rewired()
    with pytest.raises(ValueError, match="kept must be part of before"):
        style.update_strip(layer.mask, after, kept)


def test_seeds_are_dots_and_the_mean_is_a_bar_with_its_number():
    ax = style.seeds_dots({"set": [91.0, 92.0, 93.0], "RigL": [95.0]})
    bars, dots = ax.lines[::2], ax.lines[1::2]
    assert [list(bar.get_ydata()) for bar in bars] == [[92.0, 92.0], [95.0, 95.0]]
    assert [list(line.get_ydata()) for line in dots] == [[91.0, 92.0, 93.0], [95.0]]
    assert [line.get_marker() for line in dots] == ["^", "o"]
    assert written(ax) == ["92.0", "95.0"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["SET", "RigL"]
    with pytest.raises(ValueError, match="no values for \\['set'\\]"):
        style.seeds_dots({"set": []})


def test_layer_densities_draws_one_line_a_table():
    ax = style.layer_densities({"uniform": {"a": 1.0, "b": 0.1}, "RigL": {"a": 0.2, "b": 0.3}})
    assert [list(line.get_ydata()) for line in ax.lines] == [[1.0, 0.1], [0.2, 0.3]]
    assert ax.lines[1].get_color() == style.METHODS["rigl"].color
    with pytest.raises(ValueError, match="same layers"):
        style.layer_densities({"x": {"a": 1.0}, "y": {"b": 1.0}})


def test_figures_are_white_cards_of_few_kilobytes():
    layer, kept, after = rewired()
    figure = style.update_strip(layer.mask, kept, after, layer.weight)
    assert to_rgb(figure.get_facecolor()) == (1, 1, 1)
    png = io.BytesIO()
    figure.savefig(png)
    assert len(png.getvalue()) < 60_000
