// Reads [{points, order, steps, a}, ...] from stdin, selects by every rule, writes the results.
const { discrepancy, lineSearch, select } = require(process.argv[2]);

const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const out = cases.map(({ points, order, steps, a }) => {
  const by = (rule) =>
    select(points, order, rule, steps).map(({ i, gamma, a }) => ({ i, gamma, a, d: discrepancy(points, a) }));
  const step = lineSearch(points, a);
  return {
    search: by("line search"),
    fixed: by("1/k steps"),
    random: by("random"),
    step: { ...step, d: discrepancy(points, step.a) },
    d: discrepancy(points, a),
  };
});
process.stdout.write(JSON.stringify(out));
