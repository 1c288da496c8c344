// Reads [{layer, fraction}, ...] from stdin, rewires each by every rule, writes the results.
const { drop, grow, rewire } = require(process.argv[2]);

const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const out = cases.map(({ layer, fraction, k }) => ({
  SET: rewire(layer, "SET", fraction),
  SNFS: rewire(layer, "SNFS", fraction),
  RigL: rewire(layer, "RigL", fraction),
  drop: drop(layer.gradient, layer.mask, k),
  grow: grow(layer.gradient, layer.mask, k),
}));
process.stdout.write(JSON.stringify(out));
