/** What a run found, in a few lines: each from the parts that came to an end, or as far as they came. */

/** @param {{ parts: Record<string, { status: string, result: Record<string, any> }> }} report */
export function summaryOf({ parts }) {
  const of = (name) => parts[name]?.result ?? {};
  const lines = [];
  const say = (what, ...values) => {
    const known = values.filter(Boolean);
    if (known.length > 0) lines.push(`${what}: ${known.join('; ')}`);
  };
  say('adapter', of('adapter').name);
  const { passed = 0, failed = 0 } = of('cases').count ?? {};
  say('kernel cases', passed + failed > 0 ? `${passed} passed, ${failed} failed` : null);
  const { roofline, rows = [] } = of('kernels');
  say('roofline', roofline && `${round(roofline.gflops)} GFLOP/s, ${round(roofline.gbs)} GB/s`);
  for (const precision of ['f32', 'mixed']) {
    const best = most(
      rows.filter((row) => row.case.startsWith('sq') && row.precision === precision && row.gflops > 0),
      (row) => row.gflops,
    );
    say(
      `best square product in ${precision}`,
      best && `${best.case} ${round(best.gflops)} GFLOP/s, ${round(100 * best.fraction)} % of the roofline of f32`,
    );
  }
  const wrong = rows.filter(({ error }) => error).map((row) => row.case);
  say('kernels that failed', wrong.join(', '));
  const { compile, tokensPerSecond, millisecondsPerStep } = of('step');
  say(
    'training step',
    compile && `${compile.kernels} kernels compiled in ${round(compile.compileMilliseconds / 1000)} s`,
    tokensPerSecond && `${round(millisecondsPerStep)} ms, ${round(tokensPerSecond)} tokens a second`,
  );
  const peers = of('pytorch').rows ?? [];
  const own = peers.find(({ peer }) => peer === 'attune')?.tokensPerSecond;
  const beside = peers.filter((row) => row.peer !== 'attune' && row.tokensPerSecond > 0);
  say('tokens a second beside PyTorch', own && `Attune ${round(own)}`, ...beside.map((row) => besides(row, own)));
  const { metrics, users, split } = of('movielens');
  say(
    'MovieLens 1M',
    metrics?.['NDCG@10'] !== undefined && `NDCG@10 ${metrics['NDCG@10'].toFixed(4)} of ${users} users, ${split} split`,
  );
  for (const name of ['long', 'million']) {
    const { tokens, stepMilliseconds, peakBytes } = of(name);
    say(
      name,
      stepMilliseconds && `${tokens} tokens in ${round(stepMilliseconds)} ms, ${round(peakBytes / 2 ** 20)} MiB`,
    );
  }
  const short = Object.entries(parts).filter(([, { status }]) => status !== 'done');
  say('not to the end', short.map(([name, { status }]) => `${name} (${status})`).join(', '));
  return lines;
}

const besides = ({ peer, tokensPerSecond }, own) =>
  `${peer} ${round(tokensPerSecond)}${own ? `, Attune ${(own / tokensPerSecond).toFixed(2)} times as fast` : ''}`;

const most = (rows, value) => rows.reduce((best, row) => (!best || value(row) > value(best) ? row : best), null);

/** Three digits, or all before the point. */
const round = (x) => (x >= 100 ? Math.round(x).toLocaleString('en') : String(Number(x.toPrecision(3))));
