// One budget for several layers: each layer that is not full gets epsilon times the sum of its
// shape; what would hold more than its size becomes dense and the rest is shared again.

const product = (shape) => shape.reduce((a, b) => a * b, 1);
const total = (numbers) => numbers.reduce((a, b) => a + b, 0);

// All rounds: [{epsilon, wanted, over, dense}, ...]. `wanted` are weights a layer asks for, `over`
// says which would exceed their size now, `dense` which were full before. The last has none over.
function rounds(shapes, density) {
  const sizes = shapes.map(product), sums = shapes.map(total);
  const budget = density * total(sizes);
  const dense = shapes.map(() => false), done = [];
  while (dense.includes(false)) {
    const left = budget - total(sizes.filter((_, i) => dense[i]));
    const epsilon = left / total(sums.filter((_, i) => !dense[i]));
    const wanted = sizes.map((size, i) => (dense[i] ? size : epsilon * sums[i]));
    // As the package asks it, division first, so that rounding decides ties alike.
    const over = sizes.map((size, i) => !dense[i] && epsilon * (sums[i] / size) > 1);
    done.push({ epsilon, wanted, over, dense: [...dense] });
    if (!over.includes(true)) return done;
    over.forEach((is, i) => { dense[i] = dense[i] || is; });
  }
  return [...done, { epsilon: null, wanted: sizes, over: sizes.map(() => false), dense }];
}

// The densities after the last round.
function erk(shapes, density) {
  const { wanted, dense } = rounds(shapes, density).at(-1);
  return shapes.map((shape, i) => (dense[i] ? 1 : wanted[i] / product(shape)));
}

// What is left if every density above 1 is cut off in the first round.
function cut(shapes, density) {
  return rounds(shapes, density)[0].wanted.map((n, i) => Math.min(n, product(shapes[i])));
}

// The toy: what it shows is a function of network, density, round and whether the excess was cut.
function erkToy(networks, density) {
  const names = Object.keys(networks);
  const state = { network: names[0], density, round: 0, clipped: false };
  const set = (change) => show(Object.assign(state, change));
  const restart = { round: 0, clipped: false };
  const network = toy.radios("Network", names, names[0], (name) => set({ network: name, ...restart }));
  const slider = toy.slider("Density", { min: 0.02, max: 1, step: 0.02, value: density },
    (value) => set({ density: value, ...restart }));
  const refuse = (text) => { status.textContent = text; };
  const buttons = [
    toy.button("share again", () => {
      if (state.clipped) return refuse("The excess is cut off and gone. Press start over to share it instead.");
      if (state.round === now().length - 1) return refuse("Nothing to share: no layer asks for more than it can hold.");
      set({ round: state.round + 1 });
    }),
    toy.button("cut off at 1", () => {
      if (state.round) return refuse("Shared already. Press start over, then cut off at 1.");
      if (now().length === 1) return refuse("Nothing to cut: no layer asks for more than it can hold.");
      set({ clipped: true });
    }),
    toy.button("start over", () => set(restart)),
  ];
  const status = toy.status();
  const bars = toy.bars("Weights each layer would keep; a full bar is a dense layer");
  const shapes = () => networks[state.network].map((layer) => layer.shape);
  const now = () => rounds(shapes(), state.density);

  function show({ round, clipped }) {
    const layers = networks[state.network], sizes = shapes().map(product), all = total(sizes);
    const done = now(), { epsilon, wanted, over, dense } = done[round];
    const kept = clipped ? cut(shapes(), state.density) : wanted;
    const budget = state.density * all;
    const named = (which) => layers.filter((_, i) => which[i]).map(({ name }) => name).join(", ");
    bars.show(layers.map(({ name, shape }, i) => {
      const size = sizes[i], fixed = dense[i] || (clipped && over[i]);
      const how = fixed ? ", dense" : over[i] ? ", too many" : "";
      return {
        name: `${name} (${shape.join(" × ")})${how}`,
        value: kept[i] / size,
        text: `${kept[i].toFixed(2)} of ${size}`,
        kind: fixed ? "ring" : over[i] ? "minus" : "plus",
      };
    }), 1);
    slider.say(`${state.density.toFixed(2)} × ${all} weights = ${budget.toFixed(2)}`);
    const open = over.includes(true) && !clipped;
    buttons[0].classList.toggle("next", open);
    const head = epsilon === null ? `Round ${round + 1}: every layer is dense. ` :
      `Round ${round + 1}: epsilon = ${epsilon.toFixed(4)}. `;
    status.textContent = clipped
      ? `Cut off at 1: ${named(over)} dense, the others as they were. ${total(kept).toFixed(2)} weights instead of ` +
        `${budget.toFixed(2)}: density ${(total(kept) / all).toFixed(3)}, not ${state.density.toFixed(2)}.`
      : open
        ? `${head}${named(over)} would hold more weights than there are. Share again: dense, and the rest for the others.`
        : `${head}No layer asks for too much. ${total(kept).toFixed(2)} weights, as many as the budget. ` +
          `Dense: ${named(dense) || "none"}.`;
  }
  show(state);
  return [toy.row(network, slider.node), toy.row(...buttons), status, toy.row(bars.node)];
}

if (typeof module === "undefined") toy.mount("erk", ({ networks, density }) => erkToy(networks, density));
else module.exports = { rounds, erk, cut };
