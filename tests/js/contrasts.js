// [[contrast ratio by WCAG 2, text], ...] of every text inside .card; run in a page.
() => {
  const rgba = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const linear = (x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  const luminance = (color) => {
    const [r, g, b] = color.map((x) => linear(x / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    const layers = [];
    for (; node; node = node.parentElement) layers.unshift(rgba(getComputedStyle(node).backgroundColor));
    const over = (below, [r, g, b, a]) => [r, g, b].map((x, i) => below[i] + (x - below[i]) * a);
    return layers.reduce(over, [255, 255, 255]);
  };
  const shown = (node) =>
    [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.textContent.trim()) &&
    !["STYLE", "SCRIPT"].includes(node.tagName) && node.getClientRects().length;
  return [...document.querySelectorAll(".card *")].filter(shown).map((node) => {
    const a = luminance(rgba(getComputedStyle(node).color).slice(0, 3)) + 0.05;
    const b = luminance(behind(node)) + 0.05;
    return [Math.max(a, b) / Math.min(a, b), node.textContent];
  });
}
