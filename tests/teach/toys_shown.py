"""Every toy of the book as its page shows it; `test_toys.py` holds them all to one standard."""

from rigl_edu.teach import six_by_six, toys

SMALL_NETWORKS = {  # as chapter 7 defines them
    "6 → 6 → 2 → 1": {"A": (6, 6), "B": (2, 6), "C": (1, 2)},
    "two convolutions": {"conv1": (8, 3, 3, 3), "conv2": (16, 8, 3, 3), "linear": (10, 16)},
}
SHOWN = {
    "barrier": lambda: toys.barrier(),
    "threshold": lambda: toys.threshold(six_by_six()),
    "mask_cost": lambda: toys.mask_cost(six_by_six()),
    "erk": lambda: toys.erk(SMALL_NETWORKS),
    "equal_budget": lambda: toys.equal_budget(),
    "redistribution": lambda: toys.redistribution(
        {"A": (12, 36), "B": (8, 12), "C": (4, 6)}, (0.3, 0.5, 1.2)
    ),
    "rewinding": toys.rewinding,
    "greedy": lambda: toys.greedy(),
    "rewire": lambda: toys.rewire(six_by_six()),
    "schedule": lambda: toys.schedule(),
}
