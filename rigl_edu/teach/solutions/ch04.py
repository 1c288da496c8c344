"""Chapter 4: one solution for each exercise."""

from statistics import mean


def prize(holds):
    """All five: jackpot. The first four: secondary."""
    if not all(holds[:4]):
        return "none"
    return "jackpot" if holds[4] else "secondary"


def above_reinit(ticket, reinit, tolerance):
    """The ticket's best mean against the best mean of re-init."""
    best_ticket = max(mean(values) for values in ticket.values())
    best_reinit = max(mean(values) for values in reinit.values())
    return best_ticket - best_reinit > tolerance


def shared_largest(first, second, mask, p):
    """How many of the largest active weights the two have in common, as a share."""
    k = round(p * int(mask.sum()))
    chosen = []
    for weight in (first, second):
        scores = weight.abs().masked_fill(~mask, -1)
        chosen.append(set(scores.flatten().topk(k).indices.tolist()))
    return len(chosen[0] & chosen[1]) / k
