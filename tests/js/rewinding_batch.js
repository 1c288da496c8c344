// Reads [{net, choice, done}, ...] from stdin, plays each, writes the results.
const { play } = require(process.argv[2]);

const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(cases.map(({ net, choice, done }) => play(net, choice, done))));
