// Reads [{active, sizes, scores, fraction}, ...] from stdin, rewires each, writes the results.
const { redistribute, share } = require(process.argv[2]);

const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const out = cases.map((given) => ({
  ...redistribute(given),
  shared: share(given.scores, given.budget, given.sizes),
}));
process.stdout.write(JSON.stringify(out));
