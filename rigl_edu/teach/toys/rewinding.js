// Iterative magnitude pruning of a tiny network: n units, weights u into them, then v out of them,
// one flat array. Its output is sum_j v_j relu(u_j x), its loss the mean squared error.

const sum = (values) => values.reduce((a, b) => a + b, 0);
const relu = (value) => Math.max(value, 0);

// The error at each point.
function errors({ x, y }, weight) {
  const n = weight.length / 2;
  const unit = (j, at) => weight[n + j] * relu(weight[j] * at);
  return x.map((at, i) => sum(Array.from({ length: n }, (_, j) => unit(j, at))) - y[i]);
}

const lossOf = (net, weight) => sum(errors(net, weight).map((e) => e * e)) / net.x.length;

// Gradient descent from step `begin` to the end; missing weights do not move.
function train(net, weight, mask, begin = 0, end = net.steps) {
  const n = weight.length / 2;
  const curve = [[begin, lossOf(net, weight)]];
  for (let t = begin; t < end; t++) {
    const e = errors(net, weight).map((error) => (2 * error) / net.x.length);
    const gradient = weight.map((_, i) => sum(net.x.map((at, p) => i < n
      ? (weight[i] * at > 0 ? e[p] * weight[n + i] * at : 0)
      : e[p] * relu(weight[i - n] * at))));
    weight = weight.map((w, i) => (mask[i] ? w - net.rate * gradient[i] : 0));
    curve.push([t + 1, lossOf(net, weight)]);
  }
  return { weight, curve };
}

const count = (mask) => mask.filter(Boolean).length;

// Prune a share of the weights that are left, those with the smallest |w|; ties go to the lower index.
function prune(weight, mask, fraction) {
  const order = weight.map((_, i) => i).filter((i) => mask[i]);
  order.sort((a, b) => Math.abs(weight[b]) - Math.abs(weight[a]) || a - b);
  const kept = new Set(order.slice(0, Math.round((1 - fraction) * order.length)));
  return mask.map((_, i) => kept.has(i));
}

const ACTS = ["train", "prune", "rewind"];
const under = (weight, mask) => weight.map((w, i) => (mask[i] ? w : 0));

// What there is after `done` acts. choice: "start", "early", "trained" (no rewinding) or "fresh".
// A fresh draw gets the ticket's masks, so the ticket is trained beside it.
function play(net, choice, done) {
  const all = net.start.map(() => true);
  const early = train(net, net.start, all, 0, net.early).weight;
  let [weight, ticket, mask, before] = [net.start, net.start, all, all];
  const curves = [];
  for (let i = 0; i < done; i++) {
    const act = ACTS[i % 3];
    if (act === "train") {
      const result = train(net, weight, mask, choice === "early" && i ? net.early : 0);
      weight = result.weight;
      curves.push(result.curve);
      ticket = train(net, under(net.start, mask), mask).weight;
    } else if (act === "prune") {
      before = mask;
      mask = prune(choice === "fresh" ? ticket : weight, mask, net.fraction);
      weight = under(weight, mask);
    } else {
      weight = under({ start: net.start, early, trained: weight, fresh: net.fresh }[choice], mask);
    }
  }
  return { weight, mask, before, curves, loss: lossOf(net, weight) };
}

function rewindingToy(net) {
  const state = { choice: "start", done: 0 };
  const size = net.start.length;
  const last = 3 * net.rounds + 1;
  const names = { start: "the start", early: `step ${net.early}`, trained: "nothing: train on", fresh: "a fresh draw" };
  const keys = Object.keys(names);
  const set = (change) => show(Object.assign(state, change));
  const press = (act) => () => {
    const next = ACTS[state.done % 3];
    if (state.done === last) status.textContent = "All rounds are done. Press reset, or choose another place.";
    else if (act === next) set({ done: state.done + 1 });
    else status.textContent = `Not yet: next comes ${next}.`;
  };
  const places = toy.radios("Rewind to", Object.values(names), names.start,
    (name) => set({ choice: keys.find((key) => names[key] === name), done: 0 }));
  places.style.flexWrap = "wrap";
  const buttons = [...ACTS.map((act) => toy.button(act, press(act))), toy.button("reset", () => set({ done: 0 }))];
  const status = toy.status();
  const weights = toy.grid(size, size / 2);
  const plot = toy.plot({ xlabel: "step", ylabel: "loss", xs: [0, 10, 20, 30], ys: [0, 0.5, 1, 1.5, 2] });
  const ends = toy.bars("Loss after each training");

  function show({ choice, done }) {
    const { weight, mask, before, curves, loss } = play(net, choice, done);
    const act = done ? ACTS[(done - 1) % 3] : "", active = count(mask);
    const share = `${active} of ${size} weights left, ${Math.round(100 * (1 - active / size))}\u00a0% removed`;
    const largest = Math.max(...weight.map(Math.abs));
    weights.show("Weights: into the units, out of the units", weight.map((w, i) => {
      if (mask[i]) return { text: toy.signed(w), kind: w < 0 ? "minus" : "plus", tint: Math.abs(w) / largest };
      return act === "prune" && before[i] ? { text: "off", mark: "dropped" } : { text: "off", kind: "off" };
    }));
    const final = curves.map((curve) => curve.at(-1)[1]);
    plot.show(`Loss while training; ends at ${final.map((l) => l.toFixed(3)).join(", ") || "nothing yet"}`,
      curves.map((points, i) => ({ points, kind: i === curves.length - 1 ? "plus" : "score" })));
    ends.show(final.map((value, i) => ({ name: `round ${i}`, value, text: value.toFixed(3),
      kind: i === final.length - 1 ? "plus" : "score" })), 1);
    buttons.forEach((button, i) => button.classList.toggle("next", done < last && i === done % 3));
    const put = {
      start: "back to the values they started from",
      early: `back to the values they had at step ${net.early} of round 0; training goes on from there`,
      trained: "left as training left them",
      fresh: "set to new random values; the mask is the ticket's",
    }[choice];
    status.textContent = {
      "": `${share}. They have just been drawn. Loss ${loss.toFixed(3)}.`,
      train: `Round ${curves.length - 1}, trained: ${share}, loss ${loss.toFixed(3)}.`,
      prune: `Pruned the ${count(before) - active} smallest |w|${choice === "fresh" ? " of the ticket" : ""}: ${share}. Loss ${loss.toFixed(3)} before any more training.`,
      rewind: `The ${active} weights are ${put}. Loss ${loss.toFixed(3)}.`,
    }[act];
  }
  show(state);
  return [places, toy.row(...buttons), status, toy.row(weights.node, plot.node), toy.row(ends.node)];
}

if (typeof module === "undefined") toy.mount("rewinding", rewindingToy);
else module.exports = { train, prune, play };
