/**
 * What a family of logs gains by the default: the best counted baseline, item transitions as fixed and as chosen for the log,
 * and with --minutes the default training. NDCG@10 on the test part, leave-one-out; differences from the best counted baseline
 * with their paired standard errors.
 *
 *   npm run -s bench:quality -- [--data DIR] [--only TEXT] [--role search|held-out] [--minutes M] [--epochs N] [--set k=v,...]
 */
import { parseArgs } from 'node:util';
import { prepare } from '../../data/dataset.ts';
import { splitDataset } from '../../data/splits/split.ts';
import { Device } from '../../engine/index.ts';
import { RankingModel } from '../../model/inference/ranking-model.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { type ItemTransitions, recency } from '../../model/transitions/transitions.ts';
import { allBaselines } from '../../train/baselines/all-baselines.ts';
import type { Baseline } from '../../train/baselines/baselines.ts';
import type { TargetMetrics } from '../../train/evaluation/collector.ts';
import { evaluate, usersWithTarget } from '../../train/evaluation/evaluate.ts';
import { evaluateBaseline } from '../../train/evaluation/ranking.ts';
import { gainOf } from '../../train/evaluation/statistics.ts';
import { planTraining } from '../../train/plan.ts';
import { runPlan } from '../../train/run-plan.ts';
import { chooseTransitions } from '../../train/transitions/choose.ts';
import { learnTransitions } from '../../train/transitions/learn.ts';
import { type Member, members } from './logs.ts';

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: process.env.ATTUNE_DATA },
    only: { type: 'string', default: '' },
    role: { type: 'string' },
    minutes: { type: 'string' },
    epochs: { type: 'string' },
    set: { type: 'string', default: '' },
  },
});

/** Users that the choice is validated on at most, as in a training by default. */
const VALIDATED = 2000;

const ndcg = ({ metrics }: TargetMetrics): number => metrics['NDCG@10'];
const short = (metrics: TargetMetrics): string => ndcg(metrics).toFixed(4);
const signed = (x: number): string => `${x < 0 ? '−' : '+'}${Math.abs(x).toFixed(4)}`;

const device = await Device.open();
const print = (line: string) => process.stdout.write(`${line}\n`);
for (const member of members(flags.data)) {
  if (!member.name.includes(flags.only) || (flags.role && member.role !== flags.role)) continue;
  await measure(member);
}
device.close();

async function measure(member: Member): Promise<void> {
  const { name, role, seen } = member;
  const log = await member.log();
  const split = splitDataset(prepare(log, { minInteractions: 5 }));
  print(
    `${name} (${role}, seen ${seen}): ${split.users} users, ${split.items} items, ${split.dataset.items.length} events`,
  );
  const of = (baseline: Baseline) => evaluateBaseline(split, baseline, { split: 'test', seen }) as TargetMetrics;
  let best: { name: string; metrics: TargetMetrics } | null = null;
  const counted: string[] = [];
  for await (const baseline of allBaselines(device, split, seen)) {
    const metrics = of(baseline);
    counted.push(`${baseline.name} ${short(metrics)}`);
    if (!best || ndcg(metrics) > ndcg(best.metrics)) best = { name: baseline.name, metrics };
  }
  const against = best as NonNullable<typeof best>;
  print(`  counted                ${counted.join(', ')}`);
  const row = (label: string, metrics: TargetMetrics, note = '') => {
    const { mean, error } = gainOf(against.metrics.perUser['NDCG@10'], metrics.perUser['NDCG@10']);
    print(
      `  ${label.padEnd(22)} ${short(metrics)}  ${signed(mean)} ± ${error.toFixed(4)} over ${against.name} ${note}`,
    );
  };
  row('fixed transitions', of(baselineOf(await learnTransitions(device, split))));
  const started = performance.now();
  const chosen = await chooseTransitions(device, split, {
    users: usersWithTarget(split, 'valid').slice(0, VALIDATED),
    seen,
  });
  const { learningPower, backward, lambda, power, damping } = chosen.settings;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  row(
    'chosen transitions',
    of(baselineOf(chosen)),
    `${JSON.stringify({ learningPower, backward, lambda, power, damping })} ${seconds} s`,
  );
  if (flags.minutes || flags.epochs) await train(member, row);
}

/** The default, as `attune train` has it. */
async function train(
  member: Member,
  row: (label: string, metrics: TargetMetrics, note: string) => void,
): Promise<void> {
  const settings = Object.fromEntries(
    flags.set
      .split(',')
      .filter(Boolean)
      .map((pair) => pair.split('=')),
  );
  const includeSeen = member.seen === 'kept';
  const plan = planTraining(
    { log: await member.log(), name: member.name },
    { includeSeen, settings, epochs: flags.epochs ? Number(flags.epochs) : undefined },
  );
  const files = new MemoryFiles();
  const deadline = flags.minutes ? performance.now() + Number(flags.minutes) * 60_000 : undefined;
  const { result, config, notes } = await runPlan(plan, { device, files, deadline });
  const model = await RankingModel.load(device, await loadModel(files));
  try {
    const { split } = plan;
    const on = { split: 'test', includeSeen } as const;
    const whole = await evaluate(model.encoder, split, { ...on, blend: model.blend });
    const end = `${result.reason}, ${result.epoch} epochs, ${Math.round(result.seconds)} s`;
    row('default alone', await evaluate(model.encoder, split, on), end);
    row('default', whole, `b ${config.blend?.memory}, ε·V ${(config.blend?.epsilon ?? 0) * split.items}`);
    for (const note of notes) if (note.startsWith('no recipe')) print(`  ${note}`);
  } finally {
    model.dispose();
  }
}

/** Item transitions as a recommender of their own. */
function baselineOf({ settings, rows }: ItemTransitions): Baseline {
  const r = recency(settings);
  return {
    name: 'item transitions',
    scores(history, out) {
      out.fill(0);
      for (let k = 0; k < Math.min(settings.last, history.length); k++) {
        const row = history[history.length - 1 - k];
        for (let e = rows.starts[row]; e < rows.starts[row + 1]; e++) out[rows.columns[e]] += r[k] * rows.values[e];
      }
    },
  };
}
