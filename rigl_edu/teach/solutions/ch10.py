"""Chapter 10: one solution for each exercise."""


def running_mean(gradients, decay):
    """Start at 0; keep `decay` of the old mean, add the rest of the new gradient."""
    mean = 0 * gradients[0]
    for gradient in gradients:
        mean = decay * mean + (1 - decay) * gradient
    return mean


def dsr_drop(weights, masks, threshold):
    """One threshold for all layers; an emptied layer gets its largest weight back."""
    kept = []
    for weight, mask in zip(weights, masks, strict=True):
        left = mask & (weight.abs() >= threshold)
        if not left.any():
            largest = weight.abs().masked_fill(~mask, -1).argmax()
            left.view(-1)[largest] = True
        kept.append(left)
    return kept


def next_threshold(threshold, dropped, target):
    """Too many dropped: lower. Too few: higher. Within a tenth: as it is."""
    if dropped > 1.1 * target:
        return threshold / 2
    if dropped < 0.9 * target:
        return threshold * 2
    return threshold


def density_for(share):
    """Solve (2 d + 1) / 3 = share for d."""
    if share <= 1 / 3:
        return None
    return (3 * share - 1) / 2
