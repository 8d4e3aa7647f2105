/** `attune evaluate --next n`: how often the next n events of users are met by what a model continues their histories with. */
import { describeProtocol, describeTask } from '../../data/splits/protocol.ts';
import type { Split } from '../../data/splits/split.ts';
import type { Device } from '../../engine/index.ts';
import { RankingModel } from '../../model/inference/ranking-model.ts';
import { evaluateNext, NEXT_METRICS, type NextEvaluation, type NextPerUser } from '../../train/evaluation/next.ts';
import { bootstrap, type Difference, paired } from '../../train/evaluation/statistics.ts';
import { openDevice, Output } from '../common.ts';
import type { EvaluateFlags } from '../commands/evaluate.flags.ts';
import { type Judged, openLogOf, openJudged, splitFor, requireHeldOut } from '../evaluation.ts';
import { UsageError } from '../errors.ts';
import { decodeOptions } from '../flags/decoding.ts';
import { createProgress, formatCount, formatMetric, printable, table } from './ui.ts';

type NextFlags = EvaluateFlags & { next: number };

/** A model and its part of the log. */
interface Contender {
  judged: Judged;
  split: Split;
}

export async function runNext(flags: NextFlags): Promise<void> {
  const out = new Output(flags.json);
  const after = ['where', 'allow', 'deny', 'diversity', 'popularityPenalty'] as const;
  const repeated = { cap: flags.cap.size, calibrate: flags.calibrate.size, expose: flags.expose.length };
  const idle =
    after.find((flag) => flags[flag] !== undefined) ??
    (Object.keys(repeated) as (keyof typeof repeated)[]).find((flag) => repeated[flag] > 0);
  if (idle) {
    const name = idle.replace('P', '-p');
    throw new UsageError(`--${name} changes lists of recommendations; it cannot be combined with --next`);
  }
  if (flags.dump !== undefined)
    throw new UsageError('--dump writes ranks of single items; it cannot be combined with --next');
  if (flags.requestTime === 'known')
    throw new UsageError('--request-time known is of one time; --next predicts several events at times of their own');
  const contenders: Contender[] = [];
  for (const dir of [flags.model, ...(flags.beside === undefined ? [] : [flags.beside])]) {
    const judged = await openJudged(dir, out);
    const split = await splitFor(judged, await openLogOf(judged, flags, out), flags, out);
    await requireHeldOut(judged, split, flags, out);
    contenders.push({ judged, split });
  }
  const device = await openDevice(flags.device, out);
  try {
    const results: NextEvaluation[] = [];
    for (const contender of contenders) results.push(await evaluateOne(device, contender, flags));
    report(contenders, results, flags, device, out);
  } finally {
    device.close();
  }
}

async function evaluateOne(device: Device, { judged, split }: Contender, flags: NextFlags): Promise<NextEvaluation> {
  const { loaded } = judged;
  const model = await RankingModel.load(device, loaded, 'none');
  const bar = createProgress({ total: split.users, force: flags.progress });
  try {
    return await evaluateNext(model.encoder, split, {
      ...decodeOptions(flags),
      n: flags.next,
      split: flags.split,
      includeSeen: flags.includeSeen,
      blend: model.blend,
      onProgress(done, total) {
        bar.setTotal(total);
        bar.update(done, { phase: 'continuing' });
      },
    });
  } finally {
    bar.stop();
    model.dispose();
  }
}

function report(
  contenders: readonly Contender[],
  results: readonly NextEvaluation[],
  flags: NextFlags,
  device: Device,
  out: Output,
): void {
  const { next, decode, seed } = flags;
  const seen = flags.includeSeen ? 'kept' : 'excluded';
  const [{ split }] = contenders;
  const models = contenders.map(({ judged: { dir, loaded } }, i) => ({
    path: dir,
    recipe: loaded.config.recipe,
    step: loaded.weights.step,
    generated: meansOf(results[i].generated, next),
    ranked: meansOf(results[i].ranked, next),
  }));
  const difference = differenceOf(contenders, results, seed);
  const first = bootstrap(results[0].generated.Recall, seed);
  out.object({
    protocol: split.protocol.name,
    protocolParameters: split.protocol.parameters,
    split: flags.split,
    seen,
    next,
    ...decodeOptions(flags),
    users: results[0].users.length,
    items: split.items,
    models,
    intervals: { level: 0.95, method: 'bootstrap', seed, [`Recall@${next}`]: [first.low, first.high] },
    ...(difference ? { difference: { [`Recall@${next}`]: difference } } : {}),
    device: device.name,
  });
  out.line(
    `\n${flags.split}: the next ${next} events of ${formatCount(results[0].users.length)} users; ${describeTask(split.protocol, flags.split, split.items)}, ` +
      `seen items ${seen}; protocol ${describeProtocol(split.protocol)}. Transformers and, where a model blends them in, item transitions.`,
  );
  const names = NEXT_METRICS.map((name) => (name === 'First' ? name : `${name}@${next}`));
  const rows = models.flatMap(({ recipe, step, generated, ranked }) => {
    const cells = (of: Record<string, number>) => names.map((name) => formatMetric(of[name]));
    return [
      [`${recipe} (step ${formatCount(step)}), continued (${decode})`, ...cells(generated)],
      [`${recipe}, the ${next} best of one ranking`, ...cells(ranked)],
    ];
  });
  out.line(table(['', ...names], rows));
  out.line(
    `Recall: share of the ${next} events in the list; First: its first item is the very next event; Order: share of positions that agree.`,
  );
  out.line(
    `95 % confidence (bootstrap over users): Recall@${next} ${formatMetric(first.low)} to ${formatMetric(first.high)}.`,
  );
  if (difference) {
    const { mean, low, high, p } = difference;
    out.line(
      `Recall@${next} of ${printable(models[0].path)} less that of ${printable(models[1].path)}: ${mean.toFixed(4)} (${low.toFixed(4)} to ${high.toFixed(4)}), p ${p.toFixed(4)} (paired randomization).`,
    );
  }
}

/** Means by their names: `First`, and the others with `@n`. */
function meansOf(of: NextPerUser, n: number): Record<string, number> {
  const mean = (values: Float64Array) => values.reduce((a, b) => a + b, 0) / values.length;
  return Object.fromEntries(NEXT_METRICS.map((name) => [name === 'First' ? name : `${name}@${n}`, mean(of[name])]));
}

/** Recall of the first model less that of the second, where both saw the same users. */
function differenceOf(
  contenders: readonly Contender[],
  results: readonly NextEvaluation[],
  seed: number,
): Difference | null {
  if (results.length < 2) return null;
  const ids = results.map(({ users }, i) =>
    Array.from(users, (u) => contenders[i].split.dataset.userIds[u]).join('\n'),
  );
  return ids[0] === ids[1] ? paired(results[0].generated.Recall, results[1].generated.Recall, seed) : null;
}
