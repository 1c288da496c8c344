// Reads [{layer, removed}, ...] from stdin, prunes each, writes the results.
const { bySize, prune } = require(process.argv[2]);

const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const out = cases.map(({ layer, removed }) => ({ order: bySize(layer), ...prune(layer, removed) }));
process.stdout.write(JSON.stringify(out));
