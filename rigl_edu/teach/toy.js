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
