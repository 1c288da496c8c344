// The parts that toys are made of. A toy keeps its state in one object and what it shows is a
// function of that state. Controls are the browser's own, so keyboard and screen reader work.
const toy = {
  el(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  },
  row: (...nodes) => toy.el("div", { class: "toy-row" }, ...nodes),
  radios(legend, names, chosen, choose) {
    const set = toy.el("fieldset", {}, toy.el("legend", {}, legend));
    for (const name of names) {
      const input = toy.el("input", { type: "radio", name: legend, value: name });
      input.checked = name === chosen;
      input.addEventListener("change", () => choose(name));
      set.append(toy.el("label", {}, input, name));
    }
    return set;
  },
  slider(name, range, choose) {
    const input = toy.el("input", { type: "range", ...range });
    const said = toy.el("span");
    input.addEventListener("input", () => choose(Number(input.value)));
    const say = (text) => { said.textContent = text; input.setAttribute("aria-valuetext", text); };
    return { node: toy.el("label", { class: "slider" }, name, input, said), say };
  },
  button(text, press) {
    const node = toy.el("button", { type: "button" }, text);
    node.addEventListener("click", press);
    return node;
  },
  status: () => toy.el("p", { role: "status", "aria-live": "polite" }),
  signed: (x) => (x < 0 ? "−" : x > 0 ? "+" : "") + Math.abs(x).toFixed(2),
  // A table of tiles. A cell is {text, kind, tint from 0 to 1, mark}; the mark is written out.
  grid(size, columns) {
    const caption = toy.el("caption");
    const cells = Array.from({ length: size }, () => toy.el("td"));
    const heads = Array.from({ length: columns }, (_, j) => toy.el("th", { scope: "col" }, j));
    const body = [toy.el("tr", {}, toy.el("td"), ...heads)];
    for (let i = 0; i < size; i += columns)
      body.push(toy.el("tr", {}, toy.el("th", { scope: "row" }, i / columns), ...cells.slice(i, i + columns)));
    const show = (title, content) => {
      caption.textContent = title;
      content.forEach(({ text, kind = "", tint = 0, mark = "" }, i) => {
        cells[i].className = `${kind} ${mark}`;
        cells[i].style.setProperty("--tint", tint.toFixed(2));
        cells[i].replaceChildren(toy.el("b", {}, text), toy.el("small", {}, mark));
      });
    };
    return { node: toy.el("div", {}, toy.el("table", {}, caption, toy.el("tbody", {}, ...body))), show };
  },
  // Horizontal bars with their names and numbers, as a table. A bar is {name, value, text, kind}.
  bars(caption) {
    const body = toy.el("tbody");
    const node = toy.el("div", { class: "toy-bars" }, toy.el("table", {}, toy.el("caption", {}, caption), body));
    const show = (bars, top) => body.replaceChildren(...bars.map(({ name, value, text, kind = "plus" }) => {
      const bar = toy.el("i", { class: kind });
      bar.style.width = `${Math.min(100, Math.max(0, (100 * value) / top))}%`;
      return toy.el("tr", {}, toy.el("th", { scope: "row" }, name), toy.el("td", {}, bar), toy.el("td", {}, text));
    }));
    return { node, show };
  },
  // Axes and what is drawn on them. A series is {points: [[x, y], ...], kind, dots: true | false}.
  // kind: "plus", "minus", "score" or "ring" gives the colour; xs and ys are the ticks, their
  // first and last the range; `title` says in words what is seen.
  plot({ xlabel, ylabel, xs, ys, width = 330, height = 200 }) {
    const svg = (tag, attributes, ...children) => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
      node.append(...children);
      return node;
    };
    const [left, right, up, down] = [44, 10, 8, 36];
    const at = (value, ticks, from, to) => from + ((value - ticks[0]) / (ticks.at(-1) - ticks[0])) * (to - from);
    const x = (value) => at(value, xs, left, width - right).toFixed(1);
    const y = (value) => at(value, ys, height - down, up).toFixed(1);
    const text = (string, attributes) => svg("text", attributes, string);
    const axes = [
      ...xs.map((tick) => svg("line", { class: "tick", x1: x(tick), x2: x(tick), y1: up, y2: height - down })),
      ...ys.map((tick) => svg("line", { class: "tick", x1: left, x2: width - right, y1: y(tick), y2: y(tick) })),
      ...xs.map((tick) => text(tick, { x: x(tick), y: height - down + 15, "text-anchor": "middle" })),
      ...ys.map((tick) => text(tick, { x: left - 6, y: Number(y(tick)) + 4, "text-anchor": "end" })),
      text(xlabel, { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }),
      text(ylabel, { transform: `translate(11 ${(up + height - down) / 2}) rotate(-90)`, "text-anchor": "middle" }),
    ];
    const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "toy-plot" });
    const show = (title, series) => {
      drawing.setAttribute("aria-label", title);
      drawing.replaceChildren(...axes, ...series.flatMap(({ points, kind = "plus", dots = false }) =>
        dots
          ? points.map(([a, b]) => svg("circle", { class: kind, cx: x(a), cy: y(b), r: 4.5 }))
          : [svg("polyline", { class: kind, points: points.map(([a, b]) => `${x(a)},${y(b)}`).join(" ") })]));
    };
    return { node: toy.el("div", {}, drawing), show };
  },
  // Build every toy of this name that stands in the document and is not built yet.
  mount(name, build) {
    for (const root of document.querySelectorAll(`.rigl-toy[data-toy="${name}"]:not([data-live])`)) {
      root.dataset.live = "";
      const form = toy.el("form", { "aria-label": root.dataset.label }, ...build(JSON.parse(root.dataset.numbers)));
      form.addEventListener("submit", (event) => event.preventDefault());
      root.replaceChildren(form);
    }
  },
};
