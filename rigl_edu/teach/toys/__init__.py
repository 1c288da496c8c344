"""Toys: small machines that run inside the published page, with no kernel behind them.

A toy is an HTML card with its numbers inlined and a few kilobytes of plain JavaScript: `toy.js`
has the parts (radio buttons, slider, buttons, grid of tiles, bars, plot), one more file has the
algorithm. The card's HTML says in words what the toy shows, for whoever reads without JavaScript;
the words are computed by `rigl_edu.sparse`, the tiles by the JavaScript, and a test holds the two
equal. One toy a file: `rewire.py` writes the card, `rewire.js` runs in it.
"""

from .card import card, flat, source
from .rewire import rewire

__all__ = ["card", "flat", "rewire", "source"]
