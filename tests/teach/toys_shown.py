"""Every toy of the book as its page shows it; `test_toys.py` holds them all to one standard."""

from rigl_edu.teach import six_by_six, toys

SHOWN = {
    "rewire": lambda: toys.rewire(six_by_six()),
}
