// The pace of rewiring: at which steps, which share of the active weights, how many weights.
// Steps are counted from 1. `until` ends it: from that step on nothing is rewired.

const SHAPES = {
  cosine: (t, until, fraction) => (fraction / 2) * (1 + Math.cos((Math.PI * t) / until)),
  linear: (t, until, fraction) => fraction * (1 - t / until),
  constant: (t, until, fraction) => fraction,
};

const shareAt = (shape, t, until, fraction) => (t < until ? SHAPES[shape](t, until, fraction) : 0);
const dropCount = (share, active) => Math.floor(share * active + 1e-9);
const rewiresAt = (t, every, until) => t % every === 0 && t < until;

// layer: {active, total, steps}. Gives [{t, k, tried}, ...], one entry a rewiring: the step, the
// number of weights, and the share of positions that have existed at least once by then, expected
// for random growth: a position never tried is grown with chance k / (empty positions).
function rewirings({ active, total, steps }, { shape, every, until, fraction }) {
  const found = [];
  let never = 1 - active / total;
  for (let t = 1; t <= steps; t++) {
    if (!rewiresAt(t, every, until)) continue;
    const k = dropCount(shareAt(shape, t, until, fraction), active);
    never *= 1 - k / (total - active + k);
    found.push({ t, k, tried: 1 - never });
  }
  return found;
}

// The toy: what it shows is a function of shape, fraction, every and until.
function scheduleToy(layer, start) {
  const state = { shape: "cosine", ...start };
  const { active, total, steps } = layer;
  const number = (x) => x.toLocaleString("en-US");
  const set = (change) => show(Object.assign(state, change));

  const shapes = toy.radios("Shape", Object.keys(SHAPES), state.shape, (shape) => set({ shape }));
  const sliders = {
    fraction: toy.slider("Fraction α", { min: 0.1, max: 0.6, step: 0.1, value: start.fraction },
      (fraction) => set({ fraction })),
    every: toy.slider("Every ΔT", { min: 25, max: 250, step: 25, value: start.every }, (every) => set({ every })),
    until: toy.slider("Until T_end", { min: 100, max: steps, step: 50, value: start.until }, (until) => set({ until })),
  };
  const status = toy.status();
  const xs = [0, 1, 2, 3, 4].map((i) => (i * steps) / 4);
  const shares = toy.plot({ xlabel: "step t", ylabel: "share rewired f(t)", xs, ys: [0, 0.2, 0.4, 0.6] });
  const tries = toy.plot({ xlabel: "step t", ylabel: "positions tried", xs, ys: [0, 0.2, 0.4, 0.6, 0.8, 1] });

  function show({ shape, fraction, every, until }) {
    const found = rewirings(layer, state);
    const at = found.length ? found.at(-1) : { tried: active / total };
    const moved = found.reduce((sum, { k }) => sum + k, 0);
    const curve = [];
    for (let t = 0; t < until; t += steps / 200) curve.push([t, shareAt(shape, t, until, fraction)]);
    curve.push([until, SHAPES[shape](until, until, fraction)], [until, 0], [steps, 0]);
    const stairs = [[0, active / total]];
    for (const { t, tried } of found) stairs.push([t, stairs.at(-1)[1]], [t, tried]);
    stairs.push([steps, at.tried]);

    sliders.fraction.say(fraction.toFixed(1));
    sliders.every.say(`${every} steps`);
    sliders.until.say(`step ${number(until)} of ${number(steps)}`);
    shares.show(`The share rewired, ${shape}, from ${fraction.toFixed(1)} at step 0; ${found.length} dots, one a rewiring.`,
      [{ points: curve }, { points: found.map(({ t }) => [t, shareAt(shape, t, until, fraction)]), dots: true, kind: "ring" }]);
    tries.show(`The share of positions tried rises in stairs from ${(active / total).toFixed(2)} to ${at.tried.toFixed(2)}.`,
      [{ points: stairs, kind: "minus" }]);
    status.textContent = found.length
      ? `${number(active)} of ${number(total)} weights are active at any time. ${found.length} rewirings: the first, at step ` +
        `${found[0].t}, moves ${found[0].k} weights, the last, at step ${at.t}, moves ${at.k}; together ${number(moved)}. ` +
        `Grown at random, ${(100 * at.tried).toFixed(1)}\u00a0% of the positions will have been tried, on average.`
      : `No rewiring: the first would be step ${every}, and T_end is ${until}. ` +
        `Only the first ${number(active)} of ${number(total)} positions are ever tried.`;
  }
  show(state);
  return [toy.row(shapes, ...Object.values(sliders).map(({ node }) => node)), status, toy.row(shares.node, tries.node)];
}

if (typeof module === "undefined") toy.mount("schedule", ({ layer, start }) => scheduleToy(layer, start));
else module.exports = { shareAt, dropCount, rewiresAt, rewirings };
