// What a mask costs: weights, FLOPs and bytes by counting, seconds as they were measured.

// The mask with `active` ones where the numbers are largest. Ties go to the lower index.
function largest(numbers, active) {
  const order = numbers.map((_, i) => i).sort((a, b) => numbers[b] - numbers[a] || a - b);
  const chosen = new Set(order.slice(0, active));
  return numbers.map((_, i) => chosen.has(i));
}

// A linear layer with float32 weights. CSR keeps a value and a column for each weight, and for
// each row where it starts, and where the last one ends; a bitmap keeps one bit a position.
function costs(rows, columns, active, index) {
  const size = rows * columns;
  return {
    density: active / size,
    flops: 2 * active + columns,
    denseFlops: 2 * size + columns,
    dense: 4 * size,
    csr: active * (4 + index) + (rows + 1) * index,
    bitmap: active * 4 + Math.ceil(size / 8),
  };
}

// The most weights with which CSR takes fewer bytes than storing all; 0 if there are none.
function breakEven(rows, columns, index) {
  const size = rows * columns;
  for (let active = size; active > 0; active--)
    if (costs(rows, columns, active, index).csr < 4 * size) return active;
  return 0;
}

// The toy: what it shows is a function of the number of weights and the size of an index.
function maskCostToy({ rows, columns, random }, active, steps) {
  const state = { active, index: 4 };
  const size = rows * columns;
  const set = (change) => show(Object.assign(state, change));
  const slider = toy.slider("Weights", { min: 1, max: size, step: 1, value: active },
    (active) => set({ active }));
  const radios = toy.radios("Bytes of an index", ["4", "8"], "4", (text) => set({ index: Number(text) }));
  const status = toy.status();
  const grid = toy.grid(size, columns);
  const counted = toy.bars("Counted: follows the mask");
  const measured = toy.bars("Measured: one training step, density 0.1");
  measured.show(
    Object.entries(steps).flatMap(([name, ms]) => [
      { name: `${name}, dense`, value: 1, text: `${ms.dense.toFixed(1)} ms`, kind: "score" },
      { name: "with a mask", value: ms.Static / ms.dense, text: `${ms.Static.toFixed(1)} ms` },
    ]), 1.25);

  function show({ active, index }) {
    const cost = costs(rows, columns, active, index);
    const most = Math.max(2 * cost.dense, cost.csr);
    grid.show("Mask m", largest(random, active).map((on) =>
      on ? { text: "1", kind: "plus", tint: 0.6 } : { text: "0", kind: "off" }));
    counted.show([
      { name: "weights", value: cost.density, text: `${active} of ${size}` },
      { name: "FLOPs", value: cost.flops / cost.denseFlops, text: `${cost.flops} of ${cost.denseFlops}` },
      { name: "bytes, all stored", value: 1, text: `${cost.dense}`, kind: "score" },
      { name: "bytes, CSR", value: cost.csr / cost.dense, text: `${cost.csr}` },
      { name: "bytes, bitmap", value: cost.bitmap / cost.dense, text: `${cost.bitmap}` },
    ], most / cost.dense);
    slider.say(`${active} of ${size}: density\u00a0${cost.density.toFixed(2)}`);
    const saved = cost.dense - cost.csr;
    status.textContent =
      `${active} of ${size} weights exist: density ${cost.density.toFixed(2)}, sparsity ` +
      `${Math.round(100 - 100 * cost.density)} %. ${cost.flops} FLOPs instead of ${cost.denseFlops}. ` +
      (saved > 0 ? `CSR saves ${saved} of ${cost.dense} bytes. `
        : saved < 0 ? `CSR takes ${-saved} bytes more than storing all ${cost.dense}. `
        : `CSR takes as many bytes as storing all. `) +
      `It pays up to ${breakEven(rows, columns, index)} weights. The measured times stay.`;
  }
  show(state);
  return [toy.row(slider.node, radios), status, toy.row(grid.node, counted.node), measured.node];
}

if (typeof module === "undefined")
  toy.mount("mask_cost", ({ layer, active, steps }) => maskCostToy(layer, active, steps));
else module.exports = { largest, costs, breakEven };
