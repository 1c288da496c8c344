// Magnitude pruning: remove the active weights with the smallest |w|. Ties: the lower index stays.

// Indices of the active weights, smallest |w| first.
function bySize({ weight, mask }) {
  const order = weight.map((_, i) => i).filter((i) => mask[i]);
  return order.sort((a, b) => Math.abs(weight[a]) - Math.abs(weight[b]) || b - a);
}

// The mask after the `removed` smallest have gone, what it leaves, and the share of the sum of
// squares that is left.
function prune(layer, removed) {
  const order = bySize(layer);
  const stays = new Set(order.slice(removed));
  const squares = (list) => list.reduce((sum, i) => sum + layer.weight[i] ** 2, 0);
  return {
    mask: layer.weight.map((_, i) => stays.has(i)),
    left: stays.size,
    density: stays.size / layer.weight.length,
    energy: squares([...stays]) / squares(order),
  };
}

// The toy: what it shows is a function of how many weights are removed.
function thresholdToy(layer, removed) {
  const size = layer.weight.length, { columns } = layer;
  const order = bySize(layer);
  const sizes = order.map((i) => Math.abs(layer.weight[i]));
  const state = { removed };
  const set = (change) => show(Object.assign(state, change));
  const place = (i) => `(${Math.floor(i / columns)},\u00a0${i % columns})`;

  const slider = toy.slider("Threshold", { min: 0, max: order.length - 1, step: 1, value: removed },
    (removed) => set({ removed }));
  const status = toy.status();
  const grid = toy.grid(size, columns);
  const plot = toy.plot({
    xlabel: "active weights, sorted", ylabel: "|w|",
    xs: [0, 4, 8, 12].filter((x) => x <= order.length + 3), ys: [0, 0.5, 1],
  });

  function show({ removed }) {
    const { mask, left, density, energy } = prune(layer, removed);
    const below = removed ? sizes[removed - 1] : 0, above = sizes[removed];
    const line = (below + above) / 2;
    grid.show("Weights after pruning", layer.weight.map((w, i) => {
      if (!layer.mask[i]) return { text: "off", kind: "off" };
      if (!mask[i]) return { text: toy.signed(w), mark: "dropped" };
      return { text: toy.signed(w), kind: w < 0 ? "minus" : "plus", tint: Math.abs(w) / sizes.at(-1) };
    }));
    const dot = (i) => [i + 0.5, sizes[i]];
    const all = sizes.map((_, i) => i);
    plot.show(`Sorted magnitudes: ${removed} below the threshold ${line.toFixed(2)}, ${left} above it`, [
      { points: [[0, line], [order.length, line]], kind: "ring" },
      { points: all.slice(0, removed).map(dot), kind: "minus", dots: true },
      { points: all.slice(removed).map(dot), kind: "plus", dots: true },
    ]);
    slider.say(`${line.toFixed(2)}: ${removed} of ${order.length} below it`);
    status.textContent =
      (removed ? `Removed ${removed}, at ${order.slice(0, removed).sort((a, b) => a - b).map(place).join(" ")}. ` : "Nothing is removed yet. ") +
      `${left} of ${size} positions hold a weight: density ${density.toFixed(2)}, sparsity ` +
      `${Math.round(100 - 100 * density)} %. What stays holds ${Math.round(100 * energy)} % of the sum of w².`;
  }
  show(state);
  return [toy.row(slider.node), status, toy.row(grid.node, plot.node)];
}

if (typeof module === "undefined") toy.mount("threshold", ({ layer, removed }) => thresholdToy(layer, removed));
else module.exports = { bySize, prune };
