// Uniform and ERK masks of one network at equal weights or equal FLOPs.
// A layer is [name, shape, positions, extra]: FLOPs are 2 * weights * positions + extra.
const total = (numbers) => numbers.reduce((a, b) => a + b, 0);
const numel = (layer) => layer[1].reduce((a, b) => a * b, 1);
const BUDGETS = ["equal weights", "equal FLOPs"];

// The first layer stays dense, every other gets the density.
const uniform = (layers, density) => layers.map((_, i) => (i ? density : 1));

// ERK: in proportion to sum(shape) / prod(shape); a layer that would exceed 1 becomes dense.
function erk(layers, density) {
  const sizes = layers.map(numel);
  const ratios = layers.map((layer, i) => total(layer[1]) / sizes[i]);
  const budget = density * total(sizes);
  const dense = layers.map(() => false);
  while (dense.includes(false)) {
    const free = dense.flatMap((on, i) => (on ? [] : [i]));
    const left = budget - total(sizes.filter((_, i) => dense[i]));
    const eps = left / total(free.map((i) => ratios[i] * sizes[i]));
    const full = free.filter((i) => eps * ratios[i] > 1);
    if (!full.length) return ratios.map((ratio, i) => (dense[i] ? 1 : eps * ratio));
    full.forEach((i) => { dense[i] = true; });
  }
  return layers.map(() => 1);
}

// Whole numbers of weights by largest remainder.
function counts(layers, densities) {
  const exact = layers.map((layer, i) => densities[i] * numel(layer));
  const n = exact.map((x, i) => Math.min(numel(layers[i]), Math.floor(x + 1e-9)));
  const order = n.map((_, i) => i).sort((a, b) => n[a] - exact[a] - (n[b] - exact[b]) || a - b);
  const room = order.filter((i) => n[i] < numel(layers[i]));
  room.slice(0, Math.round(total(exact)) - total(n)).forEach((i) => { n[i] += 1; });
  return n;
}

const flops = (layers, weights) => total(layers.map(([, , positions, extra], i) => 2 * weights[i] * positions + extra));

// The ERK density that spends what uniform masks spend, by bisection.
function erkDensity(layers, density, budget) {
  const spent = (densities) => {
    const weights = densities.map((d, i) => d * numel(layers[i]));
    return budget === BUDGETS[0] ? total(weights) : flops(layers, weights);
  };
  const wanted = spent(uniform(layers, density));
  let [low, high] = [0.001, 1];
  for (let i = 0; i < 50; i += 1) {
    const middle = (low + high) / 2;
    if (spent(erk(layers, middle)) < wanted) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

// Both masks: density, weights and FLOPs, each a pair [uniform, ERK].
function compare(layers, density, budget) {
  const other = erkDensity(layers, density, budget);
  const weights = [uniform(layers, density), erk(layers, other)].map((d) => counts(layers, d));
  return { densities: [density, other], weights, flops: weights.map((n) => flops(layers, n)) };
}

// The toy: what it shows is a function of the density and the budget.
function equalBudgetToy({ layers, density }) {
  const state = { density, budget: BUDGETS[0] };
  const set = (change) => show(Object.assign(state, change));
  const radios = toy.radios("Compare at", BUDGETS, state.budget, (budget) => set({ budget }));
  const slider = toy.slider("Density of the uniform masks", { min: 0.02, max: 0.5, step: 0.01, value: density },
    (density) => set({ density }));
  const status = toy.status();
  const parts = [["stem", "stem"], ["group 1", "group1"], ["group 2", "group2"], ["group 3", "group3"], ["last layer", "fc"]];
  const members = parts.map(([, start]) => layers.flatMap(([name], i) => (name.startsWith(start) ? [i] : [])));
  const whole = flops(layers, layers.map(numel));
  const spread = ["Uniform", "ERK"].map((name) => toy.bars(`${name}: density of each part`));
  const sums = toy.bars("What they cost");

  function show({ density, budget }) {
    const { densities, weights, flops } = compare(layers, density, budget);
    const share = flops.map((f) => f / whole);
    const size = total(layers.map(numel));
    const said = weights.map((n) => total(n).toLocaleString("en"));
    slider.say(density.toFixed(2));
    spread.forEach((bars, k) => bars.show(parts.map(([name], p) => {
      const part = total(members[p].map((i) => weights[k][i])) / total(members[p].map((i) => numel(layers[i])));
      return { name, value: part, text: part.toFixed(3), kind: k ? "minus" : "plus" };
    }), 1));
    const most = Math.max(...share, ...weights.map((n) => total(n) / size));
    sums.show([0, 1].flatMap((k) => [
      { name: `${["uniform", "ERK"][k]}, weights`, value: total(weights[k]) / size, text: said[k], kind: k ? "minus" : "plus" },
      { name: `${["uniform", "ERK"][k]}, FLOPs`, value: share[k], text: `${share[k].toFixed(3)} of dense`, kind: k ? "minus" : "plus" },
    ]), most);
    status.textContent = `At ${budget}: uniform masks of density ${density.toFixed(2)} have ${said[0]} weights and ` +
      `${share[0].toFixed(3)} of the dense FLOPs; ERK masks of density ${densities[1].toFixed(4)} have ${said[1]} weights and ` +
      `${share[1].toFixed(3)}. ` + (budget === BUDGETS[0]
        ? `ERK does ${(share[1] / share[0]).toFixed(2)} times the work.`
        : `ERK has ${(total(weights[1]) / total(weights[0])).toFixed(2)} times the weights.`);
  }
  show(state);
  return [toy.row(radios, slider.node), status, toy.row(...spread.map((bars) => bars.node)), toy.row(sums.node)];
}

if (typeof module === "undefined") toy.mount("equal_budget", equalBudgetToy);
else module.exports = { compare, erk, counts };
