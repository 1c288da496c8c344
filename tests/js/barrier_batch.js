// Reads [{first, second, alpha, points}, ...] from stdin, writes what the toy computes for each.
const { loss, between, along, barrier } = require(process.argv[2]);

const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const out = cases.map(({ first, second, alpha, points }) => {
  const here = between(first, second, alpha), losses = along(first, second, points);
  return { here, loss: loss(here), losses, barrier: barrier(losses) };
});
process.stdout.write(JSON.stringify(out));
