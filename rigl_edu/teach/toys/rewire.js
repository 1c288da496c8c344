// One rewiring of a layer: drop the smallest |w|, then grow where the rule says.
// Scores and masks are flat arrays, row by row. Exact counts; ties go to the lower index.

// The k highest-scored of the positions that are on in `from`.
function best(scores, from, k) {
  const order = scores.map((_, i) => i).filter((i) => from[i]);
  order.sort((a, b) => scores[b] - scores[a] || a - b);
  const chosen = new Set(order.slice(0, k));
  return scores.map((_, i) => chosen.has(i));
}

const count = (mask) => mask.filter(Boolean).length;

// Turn off the k lowest-scored of the active positions.
function drop(scores, mask, k) {
  return best(scores, mask, count(mask) - k);
}

// Turn on the k highest-scored of the inactive positions.
function grow(scores, mask, k) {
  const grown = best(scores, mask.map((on) => !on), k);
  return mask.map((on, i) => Boolean(on) || grown[i]);
}

// What each rule grows by.
const RULES = {
  SET: { field: "random", look: "random number", where: "at random" },
  SNFS: {
    field: "momentum",
    look: "|momentum|",
    where: "where |momentum|, a running mean of gradients, is largest. (SNFS also moves weights between layers; with one layer there is nowhere to move)",
  },
  RigL: { field: "gradient", look: "|gradient|", where: "where |gradient|, on this batch alone, is largest" },
};

// layer: {weight, mask, gradient, momentum, random}. Gives k, the mask after the drop and after
// the grow, and the new weights: what was off starts at 0, what was dropped and regrown stays.
function rewire(layer, rule, fraction) {
  const k = Math.floor(fraction * count(layer.mask) + 1e-9);
  const kept = drop(layer.weight.map(Math.abs), layer.mask, k);
  const mask = grow(layer[RULES[rule].field].map(Math.abs), kept, k);
  const weight = layer.weight.map((w, i) => (mask[i] && layer.mask[i] ? w : 0));
  return { k, kept, mask, weight };
}

// The toy: what it shows is a function of rule, fraction and stage (0 start, 1 dropped, 2 grown).
function rewireToy(layer, fraction) {
  const state = { rule: "RigL", fraction, stage: 0 };
  const size = layer.weight.length, active = count(layer.mask);
  const { columns } = layer;
  const places = (mask) =>
    mask.flatMap((on, i) => (on ? [`(${Math.floor(i / columns)},\u00a0${i % columns})`] : [])).join(" ");
  const set = (change) => show(Object.assign(state, change));
  const press = (stage, refusal) => () =>
    state.stage === stage - 1 ? set({ stage }) : (status.textContent = refusal());

  const rules = toy.radios("Rule", Object.keys(RULES), state.rule, (rule) => set({ rule }));
  const slider = toy.slider("Fraction", { min: 0.1, max: 0.9, step: 0.1, value: fraction },
    (fraction) => set({ fraction }));
  const buttons = [
    toy.button("drop", press(1, () => "Dropped already. Press grow, or reset to start again.")),
    toy.button("grow", press(2, () => state.stage
      ? "Grown already. Press reset to start again."
      : "Press drop first: only as many weights grow as were dropped.")),
    toy.button("reset", () => set({ stage: 0 })),
  ];
  const status = toy.status();
  const weights = toy.grid(size, columns);
  const scores = toy.grid(size, columns);

  function show({ rule, stage }) {
    const { k, kept, mask, weight } = rewire(layer, rule, state.fraction);
    const { field, look, where } = RULES[rule];
    const size0 = layer.weight.map(Math.abs), score = layer[field].map(Math.abs);
    const dropped = kept.map((on, i) => layer.mask[i] && !on);
    const grown = kept.map((on, i) => mask[i] && !on);
    const regrown = count(dropped.filter((on, i) => on && grown[i]));
    const mark = (i) => (stage > 1 && grown[i] ? (dropped[i] ? "regrown" : "grown") : "");

    weights.show("Weights w; drop looks at |w|", layer.weight.map((w, i) => {
      if (mark(i) === "grown") return { text: toy.signed(weight[i]), mark: "grown" };
      if (!layer.mask[i]) return { text: "off", kind: "off" };
      if (stage && dropped[i] && !mark(i)) return { text: toy.signed(w), mark: "dropped" };
      return { text: toy.signed(w), kind: w < 0 ? "minus" : "plus", tint: size0[i] / Math.max(...size0), mark: mark(i) };
    }));
    scores.show(`Scores for grow: ${look}`, score.map((s, i) => {
      const text = s.toFixed(2);
      if (stage && kept[i]) return { text, mark: "kept" };
      return { text, kind: "score", tint: s / Math.max(...score), mark: mark(i) };
    }));
    slider.say(`${state.fraction.toFixed(1)} × ${active} active, rounded down: k\u00a0=\u00a0${k}`);
    buttons.forEach((button, i) => button.classList.toggle("next", i === stage));
    status.textContent = [
      `${rule} will drop ${k} of ${active} active weights, the smallest |w|, and then grow ${k} ${where}.`,
      `${rule}: dropped ${k} of ${active} active weights with the smallest |w|, at ${places(dropped)}. ` +
        `It will grow ${k} of the ${size - active + k} positions now empty, by ${look}.`,
      `${rule}: grew the ${k} empty positions with the largest ${look}, at ${places(grown)}. ` +
        (regrown ? `Dropped a moment ago and back with the value it had: ${regrown}. ` : "") +
        `New weights start at 0. Active as before: ${count(mask)} of ${size}.`,
    ][stage];
  }
  show(state);
  return [toy.row(rules, slider.node), toy.row(...buttons), status, toy.row(weights.node, scores.node)];
}

if (typeof module === "undefined") toy.mount("rewire", ({ layer, fraction }) => rewireToy(layer, fraction));
else module.exports = { drop, grow, rewire };
