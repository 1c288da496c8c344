// Redistribution: every layer drops a share of its weights, and what was dropped anywhere is
// shared in proportion to the layers' scores, no layer above its room.
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

// Whole numbers in proportion to scores, at most room each, exactly `budget` in total.
function share(scores, budget, room) {
  const exact = scores.map(() => 0);
  let open = scores.map((_, i) => i).filter((i) => room[i] > 0);
  let left = budget;
  while (open.length) {
    const total = sum(open.map((i) => scores[i]));
    const claim = (i) => left * (total > 0 ? scores[i] / total : 1 / open.length);
    const full = open.filter((i) => claim(i) >= room[i]);
    if (!full.length) {
      open.forEach((i) => { exact[i] = claim(i); });
      break;
    }
    full.forEach((i) => { exact[i] = room[i]; });
    left -= sum(full.map((i) => room[i]));
    open = open.filter((i) => !full.includes(i));
  }
  const counts = exact.map((x) => Math.floor(x + 1e-9));
  const missing = budget - sum(counts);
  const order = counts.map((_, i) => i).filter((i) => counts[i] < room[i]);
  order.sort((a, b) => counts[a] - exact[a] - (counts[b] - exact[b]) || a - b);
  order.slice(0, missing).forEach((i) => { counts[i] += 1; });
  return counts;
}

// One rewiring in numbers: dropped, room, given, after. `claims` are the shares without any cap.
function redistribute({ active, sizes, scores, fraction }) {
  const dropped = active.map((n) => Math.floor(fraction * n + 1e-9));
  const room = active.map((n, i) => sizes[i] - n + dropped[i]);
  const budget = sum(dropped), total = sum(scores);
  const claims = scores.map((s) => budget * (total > 0 ? s / total : 1 / scores.length));
  const given = share(scores, budget, room);
  return { dropped, room, claims, given, after: active.map((n, i) => n - dropped[i] + given[i]) };
}

// The toy: its state is the scores, the active weights, and how often they were rewired.
function redistributionToy({ names, active, sizes, scores, fraction }) {
  const state = { scores: [...scores], active, turns: 0 };
  const set = (change) => show(Object.assign(state, change));
  const sliders = names.map((name, i) => toy.slider(`Score of ${name}`,
    { min: 0, max: 2, step: 0.1, value: scores[i] },
    (value) => set({ scores: state.scores.map((old, j) => (i === j ? value : old)) })));
  const plan = () => redistribute({ active: state.active, sizes, scores: state.scores, fraction });
  const buttons = [
    toy.button("rewire", () => set({ active: plan().after, turns: state.turns + 1 })),
    toy.button("reset", () => set({ active, turns: 0 })),
  ];
  buttons[0].classList.add("next");
  const status = toy.status();
  const has = toy.bars("Weights it has, of those it could hold");
  const gets = toy.bars("Weights it gets at the next rewiring");

  function show({ scores, active, turns }) {
    const { dropped, room, claims, given, after } = plan();
    const each = (text) => names.map((name, i) => text(name, i)).join(", ");
    sliders.forEach((slider, i) => slider.say(scores[i].toFixed(1)));
    has.show(names.map((name, i) => ({
      name, value: active[i] / sizes[i], kind: active[i] === sizes[i] ? "ring" : "plus",
      text: `${active[i]} of ${sizes[i]}${active[i] === sizes[i] ? ", full" : ""}`,
    })), 1);
    gets.show(names.map((name, i) => ({
      name, value: given[i], kind: "score", text: `${given[i]}, has room for ${room[i]}`,
    })), Math.max(1, sum(given)));
    const capped = names.filter((_, i) => claims[i] > room[i]);
    status.textContent =
      `${turns ? `After ${turns} rewiring${turns > 1 ? "s" : ""}. ` : ""}` +
      `Next, each layer drops ${Math.round(100 * fraction)} %, rounded down: ${each((name, i) => `${name} ${dropped[i]}`)}; ` +
      `together ${sum(dropped)}. By score that would be ${each((name, i) => `${name} ${claims[i].toFixed(2)}`)}. ` +
      (capped.length ? `${capped.join(" and ")} cannot take so many; the rest goes to the others. ` : "") +
      `In whole weights: ${each((name, i) => `${name} ${given[i]}`)}. Total before ${sum(active)}, after ${sum(after)}.`;
  }
  show(state);
  return [toy.row(...sliders.map((slider) => slider.node)), toy.row(...buttons), status, toy.row(has.node, gets.node)];
}

if (typeof module === "undefined") toy.mount("redistribution", redistributionToy);
else module.exports = { share, redistribute };
