// The line between two networks of two weights, y = v u x, that should learn y = x.
// A point is [u, v]; its loss is (1 - u v)^2, exactly 0 on both branches of the curve u v = 1.

const loss = ([u, v]) => (1 - u * v) ** 2;

// The point at (1 - alpha) first + alpha second.
const between = (first, second, alpha) => first.map((x, i) => x + alpha * (second[i] - x));

// The losses at n + 1 evenly spaced points, both ends included.
const along = (first, second, n) =>
  Array.from({ length: n + 1 }, (_, i) => loss(between(first, second, i / n)));

// Largest loss minus the mean of the two ends.
const barrier = (losses) => Math.max(...losses) - (losses[0] + losses.at(-1)) / 2;

// The branch of u v = 1 with positive or negative weights, as points to draw.
const branch = (sign) =>
  Array.from({ length: 41 }, (_, i) => 2.5 ** (i / 20 - 1)).map((u) => [sign * u, sign / u]);

const two = (x) => (x < 0 ? "−" : "") + Math.abs(x).toFixed(2);
const place = ([u, v]) => `(${two(u)}, ${two(v)})`;

// The toy: what it shows is a function of the pair and of alpha.
function barrierToy(pairs, names, points) {
  const state = { name: names[0], alpha: 0.5 };
  const set = (change) => show(Object.assign(state, change));
  const radios = toy.radios("Two solutions", names, state.name, (name) => set({ name }));
  const slider = toy.slider("alpha", { min: 0, max: 1, step: 0.05, value: state.alpha }, (alpha) => set({ alpha }));
  const status = toy.status();
  const hill = toy.plot({ xlabel: "alpha", ylabel: "loss", xs: [0, 0.25, 0.5, 0.75, 1], ys: [0, 0.25, 0.5, 0.75, 1] });
  const map = toy.plot({ xlabel: "weight u", ylabel: "weight v", xs: [-3, -2, -1, 0, 1, 2, 3], ys: [-3, -2, -1, 0, 1, 2, 3] });

  function show({ name, alpha }) {
    const [first, second] = pairs[name];
    const losses = along(first, second, points);
    const here = between(first, second, alpha), now = loss(here);
    const high = barrier(losses);
    const curve = losses.map((y, i) => [i / points, y]);
    hill.show(`Loss along the line: ${two(losses[0])} at both ends, at most ${two(Math.max(...losses))} between them`, [
      { points: curve, kind: "plus" },
      { points: [[alpha, now]], kind: "ring", dots: true },
    ]);
    map.show(`Map of the two weights: the two branches of solutions, and a line from ${place(first)} to ${place(second)}`, [
      { points: branch(1), kind: "score" },
      { points: branch(-1), kind: "score" },
      { points: [first, second], kind: "plus" },
      { points: [first, second], kind: "minus", dots: true },
      { points: [here], kind: "ring", dots: true },
    ]);
    slider.say(alpha.toFixed(2));
    status.textContent =
      `From ${place(first)} to ${place(second)}, both with loss 0. At alpha ${alpha.toFixed(2)} the weights are ${place(here)}, ` +
      `their product is ${two(here[0] * here[1])} and the loss ${two(now)}. Barrier: ${two(high)}. ` +
      (high < 0.1 ? "One basin: no hill to speak of." : "A hill stands between them.");
  }
  show(state);
  return [toy.row(radios), toy.row(slider.node), status, toy.row(hill.node, map.node)];
}

if (typeof module === "undefined") toy.mount("barrier", ({ pairs, names, points }) => barrierToy(pairs, names, points));
else module.exports = { loss, between, along, barrier };
