"""What a page needs: the book's one layer, toys, figures, exercise checkers, self-tests.

    from rigl_edu.teach import check, quiz, show_source, six_by_six, style, toys

Nothing here is needed to train a network; `rigl_edu` alone imports none of it.
"""

from .layers import six_by_six
from .questions import quiz
from .source import show_source

__all__ = ["quiz", "show_source", "six_by_six"]
