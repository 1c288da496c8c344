// Reads [{shapes, density}, ...] from stdin, shares each budget, writes the results.
const { rounds, erk, cut } = require(process.argv[2]);

const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const out = cases.map(({ shapes, density }) => ({
  rounds: rounds(shapes, density),
  erk: erk(shapes, density),
  cut: cut(shapes, density),
}));
process.stdout.write(JSON.stringify(out));
