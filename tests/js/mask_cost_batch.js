// Reads [{rows, columns, numbers, active, index}, ...] from stdin, writes masks and costs.
const { largest, costs, breakEven } = require(process.argv[2]);

const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const out = cases.map(({ rows, columns, numbers, active, index }) => ({
  mask: largest(numbers, active),
  costs: costs(rows, columns, active, index),
  breakEven: breakEven(rows, columns, index),
}));
process.stdout.write(JSON.stringify(out));
