/** `attune backtest`: strategies of keeping a model up to date, on a log as it happened. */
import { backtest, type BacktestResult, type Quality } from '../../train/backtest/backtest.ts';
import type { StrategyName } from '../../train/backtest/strategies.ts';
import { checkOptions } from '../../train/plan.ts';
import { onInterrupt, openDevice, Output } from '../common.ts';
import { InterruptedError } from '../errors.ts';
import { columnsOf } from '../input/data.ts';
import { letterPlot } from '../output/letter-plot.ts';
import { createProgress, formatCount, formatDuration, formatMetric, table } from '../output/ui.ts';
import { openTrainingSource, withRows } from '../training.ts';
import type { BacktestFlags } from './backtest.flags.ts';

export async function runBacktest(flags: BacktestFlags): Promise<void> {
  const out = new Output(flags.json);
  const { recipe, protocol, epochs, minInteractions, minRating, includeSeen, seed, replay, learningRate } = flags;
  const settings = Object.fromEntries(flags.set);
  const training = { recipe, settings, protocol, epochs, minInteractions, minRating, includeSeen, seed };
  checkOptions(training);
  const source = withRows(await openTrainingSource(flags, columnsOf(flags)));
  const device = await openDevice(flags.device, out);
  const bar = createProgress({ total: 1000, force: flags.progress });
  const interrupt = onInterrupt(() => process.stderr.write('\nattune: stopping (Ctrl-C again stops at once)\n'));
  try {
    const { strategies, every, start, targets, maxMinutes } = flags;
    const result = await backtest(source, {
      device,
      strategies,
      every,
      start,
      targets,
      maxMinutes,
      training,
      update: { replay, learningRate },
      signal: interrupt.signal,
      onProgress: (phase, done) => bar.update(Math.round(1000 * done), { phase }),
      log: (line) => (process.stderr.isTTY ? bar.note(line) : out.note(line)),
    });
    bar.stop();
    out.object({ protocol: protocol.name, every, start, targets, seen: includeSeen ? 'kept' : 'excluded', ...result });
    report(result, flags, out);
  } catch (error) {
    if (interrupt.signal.aborted) throw new InterruptedError('stopped; a backtest keeps nothing: start it again');
    throw error;
  } finally {
    interrupt.end();
    bar.stop();
    device.close();
  }
}

function report(result: BacktestResult, { targets, includeSeen }: BacktestFlags, out: Output): void {
  const { periods, strategies, tests, first } = result;
  const names = Object.keys(strategies) as StrategyName[];
  out.line(
    `\nThe first ${targets} events of each user in a period${includeSeen ? '' : ' with an item that is new to the user'}, each predicted from all before it, among the whole catalog; means over users. ${formatCount(periods.length)} periods; the first training took ${formatDuration(first)}.`,
  );
  const both = (quality: Quality | null): [string, string] => [
    formatMetric(quality?.['NDCG@10']),
    formatMetric(quality?.['HR@10']),
  ];
  const rows = names.flatMap((name) => {
    const own = strategies[name];
    if (!own) return [];
    const { warm, cold, all, trainings, seconds, tokens } = own;
    const each = trainings > 0 ? (seconds / trainings).toFixed(1) : '-';
    return [[name, ...both(all), ...both(warm), ...both(cold), each, formatCount(tokens)]];
  });
  const [one] = names;
  const users = (kind: 'warm' | 'cold' | 'all') => formatCount(strategies[one]?.[kind]?.users ?? 0);
  out.line(
    table(
      [
        '',
        'NDCG@10',
        'HR@10',
        `warm (${users('warm')})`,
        'HR@10',
        `cold (${users('cold')})`,
        'HR@10',
        's/training',
        'tokens trained',
      ],
      rows,
    ),
  );
  const unknown = names.map((name) => `${name} ${formatCount(strategies[name]?.unknown ?? 0)}`);
  const asked = periods.reduce((sum, period) => sum + period.targets, 0);
  out.line(`Of ${formatCount(asked)} targets, items that the model did not know: ${unknown.join(', ')}.`);
  const series = Object.fromEntries(
    names.map((name) => [name, periods.map((period) => period['NDCG@10'][name] ?? null)]),
  );
  const plot = letterPlot(
    series,
    periods.map(({ from }) => from),
  );
  if (plot) out.line(`\nNDCG@10 of all users by period\n${plot}`);
  const signed = (value: number): string => `${value < 0 ? '-' : '+'}${formatMetric(Math.abs(value))}`;
  const differences = tests.map(({ a, b, mean, error, low, high, p }) => [
    `${b} - ${a}`,
    signed(mean),
    formatMetric(error),
    signed(low),
    signed(high),
    p < 0.0002 ? '0.0001' : p.toFixed(4),
  ]);
  if (differences.length > 0)
    out.line(`\n${table(['NDCG@10, paired by user', 'difference', 'error', '95 % from', 'to', 'p'], differences)}`);
}
