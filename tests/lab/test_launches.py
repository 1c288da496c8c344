"""What a GPU would have to do, counted without one."""

import json

import pytest
import torch

from benchmarks.launches import RECORD, Counting, expected_seconds
from rigl_edu.lab.records import published_results


def test_work_is_counted_and_views_are_not():
    x, y = torch.ones(4, 3), torch.ones(4, 3)
    with Counting() as counting:
        z = x + y  # reads 96 bytes, writes 48
        z.t().reshape(12).view(3, 4)[0]  # reshape copies here: reads 48, writes 48
        x.mul_(2)  # in place: 48
        torch.empty(100)
    assert dict(counting.launches) == {"aten::add": 1, "aten::clone": 1, "aten::mul_": 1}
    assert counting.bytes == 144 + 96 + 48


def test_the_record_says_what_follows_from_its_counts():
    record = json.loads((published_results() / "benchmarks" / RECORD.name).read_text())
    assert record["steps"] == 88_000
    for name, seconds in expected_seconds(record["counts"]["dense"], 88_000).items():
        assert record["expected_seconds"][name] == pytest.approx(seconds)
    dense, masked = record["counts"]["dense"], record["counts"]["RigL"]
    assert dense["flops"] == masked["flops"] == 3 * 315_460_224 * 128
    assert dense["launches"] < masked["launches"] < 1.15 * dense["launches"]
    assert masked["bytes"] < 1.01 * dense["bytes"]
