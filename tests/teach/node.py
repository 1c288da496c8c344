"""What the toys' tests share: run a toy's JavaScript, and read the numbers in its card."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from rigl_edu.teach import toys

JS = Path(__file__).parents[1] / "js"


def run_node(toy, cases):
    """What `js/TOY_batch.js` answers for the cases, with the toy's own file; skip without node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not on this machine")
    done = subprocess.run(
        [node, str(JS / f"{toy}_batch.js"), str(Path(toys.__file__).with_name(f"{toy}.js"))],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def shown_numbers(toy):
    """The numbers that a card hands to its JavaScript."""
    return json.loads(unescape(re.search(r'data-numbers="([^"]*)"', toy.html)[1]))
