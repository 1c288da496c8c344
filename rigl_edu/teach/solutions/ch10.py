"""Chapter 10: one solution for each exercise."""


def fair_mean(gradients, decay):
    """The weights of n gradients add up to 1 - decay ** n: divide by that."""
    mean = 0 * gradients[0]
    for gradient in gradients:
        mean = decay * mean + (1 - decay) * gradient
    return mean / (1 - decay ** len(gradients))


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


def thresholds(weights, threshold, target, times):
    """Note the threshold, count what it would drop, steer."""
    found = []
    for _ in range(times):
        found.append(threshold)
        dropped = int((weights.abs() < threshold).sum())
        if dropped > 1.1 * target:
            threshold = threshold / 2
        elif dropped < 0.9 * target:
            threshold = threshold * 2
    return found


def density_for(share):
    """Solve (2 d + 1) / 3 = share for d."""
    if share <= 1 / 3:
        return None
    return (3 * share - 1) / 2
