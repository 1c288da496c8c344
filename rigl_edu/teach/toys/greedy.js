// Greedy selection in the plane: units are points, the target is their mean.
// A selection is a list of coefficients, one a unit, at least 0, with sum 1.

const sum = (values) => values.reduce((a, b) => a + b, 0);
const mixture = (points, a) => [0, 1].map((axis) => sum(points.map((p, i) => a[i] * p[axis])));
const dot = (p, q) => (p[0] * q[0] + p[1] * q[1]) / 2;
const minus = (p, q) => [p[0] - q[0], p[1] - q[1]];
const equalParts = (n) => new Array(n).fill(1 / n);
const alone = (n, i) => Array.from({ length: n }, (_, j) => Number(i === j));

// The mean over the two numbers of the squared distance to the target.
function discrepancy(points, a) {
  const e = minus(mixture(points, a), mixture(points, equalParts(points.length)));
  return dot(e, e);
}

const lowest = (a) => (a < 1 ? -a / (1 - a) : 0);

function move(a, i, gamma) {
  const moved = a.map((x, j) => (1 - gamma) * x + (j === i ? gamma : 0));
  moved[i] = gamma < 0 && gamma <= lowest(a[i]) ? 0 : Math.max(0, moved[i]);
  return moved;
}

// The unit and the gamma that lower D most, both at once.
function lineSearch(points, a) {
  const n = points.length, target = mixture(points, equalParts(n));
  const e = minus(mixture(points, a), target), d = dot(e, e);
  const centred = points.map((p) => minus(p, target));
  const tiny = 2.220446049250313e-16 * Math.max(...centred.map((v) => dot(v, v)));
  let best = { i: 0, gamma: 0, change: Infinity };
  centred.forEach((v, i) => {
    const slope = dot(v, e) - d, bend = dot(v, v) - 2 * dot(v, e) + d;
    const free = bend > tiny ? -slope / bend : 0;
    const gamma = Math.min(1, Math.max(lowest(a[i]), free));
    const change = gamma * (2 * slope + gamma * bend);
    if (change < best.change) best = { i, gamma, change };
  });
  return { i: best.i, gamma: best.gamma, a: move(a, best.i, best.gamma) };
}

// The unit that makes the plain mean of all k picks best; a unit may be picked again.
function fixedStep(points, a, k) {
  let best = null;
  points.forEach((_, i) => {
    const next = a.map((x, j) => (x * (k - 1) + (j === i ? 1 : 0)) / k);
    const d = discrepancy(points, next);
    if (best === null || d < best.d) best = { i, gamma: 1 / k, a: next, d };
  });
  return best;
}

const RULES = ["line search", "1/k steps", "random"];

// Steps 1 to k of a rule, each {i, gamma, a}. `order` is what chance draws.
function select(points, order, rule, k) {
  const n = points.length, steps = [];
  for (let step = 1; step <= k; step++) {
    const last = step > 1 ? steps[step - 2].a : new Array(n).fill(0);
    if (rule === "random") {
      const chosen = new Set(order.slice(0, step));
      const a = last.map((_, i) => (chosen.has(i) ? 1 / step : 0));
      steps.push({ i: order[step - 1], gamma: 1 / step, a });
    } else if (rule === "line search" && step > 1) steps.push(lineSearch(points, last));
    else steps.push(fixedStep(points, last, step));
  }
  return steps;
}

// The toy: what it shows is a function of the rule and the number of steps.
function greedyToy(points, order) {
  const state = { rule: "line search", k: 0 };
  const n = points.length, target = mixture(points, equalParts(n));
  const signed = (x) => toy.signed(Number(x.toFixed(2)));
  const where = ([x, y]) => `(${signed(x)}, ${signed(y)})`;
  const small = (d) => (d < 1e-12 ? "0" : d.toExponential(1).replace("-", "−"));
  const set = (change) => show(Object.assign(state, change));
  const rules = toy.radios("Rule", RULES, state.rule, (rule) => set({ rule }));
  const add = toy.button("add", () =>
    state.k < n ? set({ k: state.k + 1 }) : (status.textContent = `That was step ${n}, the last. Press reset to start again.`));
  const reset = toy.button("reset", () => set({ k: 0 }));
  const status = toy.status();
  const ticks = [-2, -1, 0, 1, 2];
  const plot = toy.plot({ xlabel: "what input 1 gets", ylabel: "what input 2 gets", xs: ticks, ys: ticks, height: 320 });
  const legend = toy.el("small", {}, "Grey: units. Green cross: target. Orange: the mixture and its way. Blue: chosen units, tied to it.");
  const weights = toy.bars("Coefficients of the chosen units");
  const rivals = toy.bars("D after as many steps; a longer bar is nearer");

  function show({ rule, k }) {
    const steps = select(points, order, rule, k), last = steps[k - 1];
    const a = last ? last.a : new Array(n).fill(0);
    const way = steps.map((step) => mixture(points, step.a)), now = way[k - 1];
    const kept = points.filter((_, i) => a[i] > 0), arm = 0.14;
    const series = [
      { points, kind: "score", dots: true },
      ...kept.map((p) => ({ points: [p, now], kind: "plus" })),
      { points: kept, kind: "plus", dots: true },
      { points: way, kind: "minus" },
      { points: now ? [now] : [], kind: "minus", dots: true },
      { points: [[target[0] - arm, target[1]], [target[0] + arm, target[1]]], kind: "ring" },
      { points: [[target[0], target[1] - arm], [target[0], target[1] + arm]], kind: "ring" },
    ];
    const title = now ? `${kept.length} of ${n} units chosen, mixture at ${where(now)}, target at ${where(target)}`
      : `${n} units and their mean, the target at ${where(target)}; nothing chosen`;
    plot.show(title, series);
    weights.show(a.flatMap((x, i) => (x > 0 ? [{ name: `${i} at ${where(points[i])}`, value: x, text: x.toFixed(2) }] : [])), 1);
    rivals.show(k ? RULES.map((name) => {
      const d = discrepancy(points, select(points, order, name, k)[k - 1].a);
      return { name, value: -Math.log10(Math.max(d, 1e-12)), text: small(d), kind: name === rule ? "minus" : "score" };
    }) : [], 12);
    [add, reset].forEach((button, i) => button.classList.toggle("next", Number(k >= n) === i));
    if (!now) {
      status.textContent = `The target is the mean of all ${n} units, ${where(target)}. Nothing is chosen yet. Press add.`;
      return;
    }
    const how = k === 1 ? "starts with" : last.gamma < 0 ? "takes weight from" : "gives weight to";
    status.textContent = `Step ${k}, ${rule}: ${how} unit ${last.i}, γ = ${signed(last.gamma)}. ` +
      `${kept.length} of ${n} units are chosen. Their mixture is ${where(now)}, the target ${where(target)}: D = ${small(discrepancy(points, a))}.`;
  }
  show(state);
  return [toy.row(rules), toy.row(add, reset), status,
    toy.row(toy.el("div", {}, plot.node, legend), toy.el("div", {}, weights.node, rivals.node))];
}

if (typeof module === "undefined") toy.mount("greedy", ({ points, order }) => greedyToy(points, order));
else module.exports = { discrepancy, lineSearch, select };
