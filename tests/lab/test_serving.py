"""Serving: every form answers as the trained network does, also from a file."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from rigl_edu.lab import serving
from rigl_edu.lab.models import mlp, small_cnn
from rigl_edu.sparse import sparsify


def wide(d=0.02):
    torch.manual_seed(0)
    return sparsify(mlp((64, 2048, 512, 10)), d, "er")


@pytest.fixture
def sample():
    return torch.randn(5, 64, generator=torch.Generator().manual_seed(1))


def test_all_forms_agree(sample):
    model = wide()
    found = serving.forms(model)
    assert list(found) == ["dense", "smaller", "compressed", "smaller, compressed"]
    for form in found.values():
        assert not form.training
        torch.testing.assert_close(form(sample), model(sample), rtol=1e-4, atol=1e-5)
    assert model.training, "the model stays as it was"


def test_a_form_that_changes_nothing_is_left_out():
    assert list(serving.forms(sparsify(small_cnn(), 0.5))) == ["dense"]
    assert list(serving.forms(sparsify(mlp((64, 100, 10)), 0.9))) == ["dense"]


def test_the_fastest_form_is_one_of_those_measured(sample):
    form, milliseconds = serving.fastest(wide(), sample, rounds=3)
    assert set(milliseconds) == {"dense", "smaller", "compressed", "smaller, compressed"}
    assert all(value > 0 for value in milliseconds.values())
    assert isinstance(form, nn.Module)


@pytest.mark.parametrize("name", ["dense", "smaller", "compressed"])
def test_an_exported_form_answers_in_another_process_at_any_batch(tmp_path, sample, name):
    form = serving.forms(wide())[name]
    serving.export(form, sample, tmp_path / "net.pt2")
    torch.save([torch.randn(n, 64) for n in (1, 3, 40)], tmp_path / "x.pt")
    code = (
        "import sys, torch, rigl_edu.lab.serving\n"
        "net = torch.export.load(sys.argv[1] + '/net.pt2').module()\n"
        "xs = torch.load(sys.argv[1] + '/x.pt')\n"
        "torch.save([net(x) for x in xs], sys.argv[1] + '/y.pt')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    for x, y in zip(torch.load(tmp_path / "x.pt"), torch.load(tmp_path / "y.pt"), strict=True):
        torch.testing.assert_close(y, form(x).detach(), rtol=1e-5, atol=1e-6)


def test_one_sample_is_too_few_to_export(tmp_path, sample):
    with pytest.raises(ValueError, match="has 1 rows; give at least 2"):
        serving.export(wide(), sample[:1], tmp_path / "net.pt2")


def test_the_operator_is_well_formed():
    served = next(
        m for m in serving.forms(wide())["compressed"] if isinstance(m, serving.ServedLinear)
    )
    x = torch.randn(3, served.column.max() + 1)
    arguments = (x, served.row_start, served.column, served.values, served.bias)
    torch.library.opcheck(serving.csr_linear, arguments)
