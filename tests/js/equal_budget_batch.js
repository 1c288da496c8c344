// Reads {layers, cases: [[density, budget], ...], shapes: [[layers, density], ...]} from stdin.
const { compare, counts, erk } = require(process.argv[2]);

const { layers, cases, shapes } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const out = {
  compared: cases.map(([density, budget]) => compare(layers, density, budget)),
  random: shapes.map(([some, density]) => {
    const densities = erk(some, density);
    return { densities, counts: counts(some, densities) };
  }),
};
process.stdout.write(JSON.stringify(out));
