"""Toys: small machines that run inside the published page, with no kernel behind them.

A toy is an HTML card with its numbers inlined and a few kilobytes of plain JavaScript: `toy.js`
has the parts (radio buttons, slider, buttons, grid of tiles, bars, plot), one more file has the
algorithm. The card's HTML says in words what the toy shows, for whoever reads without JavaScript;
the words are computed by `rigl_edu.sparse`, the tiles by the JavaScript, and a test holds the two
equal. One toy a file: `rewire.py` writes the card, `rewire.js` runs in it.
"""

from .barrier import barrier
from .card import card, flat, source
from .equal_budget import equal_budget
from .erk import erk
from .greedy import greedy
from .mask_cost import mask_cost
from .redistribution import redistribution
from .rewinding import rewinding
from .rewire import rewire
from .schedule import schedule
from .threshold import threshold

__all__ = [
    "barrier",
    "card",
    "equal_budget",
    "erk",
    "flat",
    "greedy",
    "mask_cost",
    "redistribution",
    "rewinding",
    "rewire",
    "schedule",
    "source",
    "threshold",
]
