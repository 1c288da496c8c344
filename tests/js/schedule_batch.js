// Reads [{layer, pace}, ...] from stdin, writes each training's rewirings and their shares.
const { shareAt, dropCount, rewiresAt, rewirings } = require(process.argv[2]);

const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const out = cases.map(({ layer, pace }) => {
  const found = rewirings(layer, pace);
  return {
    found,
    shares: found.map(({ t }) => shareAt(pace.shape, t, pace.until, pace.fraction)),
    after: shareAt(pace.shape, pace.until, pace.until, pace.fraction),
    count: dropCount(pace.fraction, layer.active),
    first: rewiresAt(pace.every, pace.every, pace.until),
  };
});
process.stdout.write(JSON.stringify(out));
