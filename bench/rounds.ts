/**
 * What dividing a training among workers costs in quality, in bytes, and in time. Run it by
 *
 *   node dist/bench/rounds.js --data FILE --epochs N [--workers 1,2,4] [--sync steps=50,exchange=f16] [--sync …] [--set k=v,...]
 *                             [--seeds 1,2] [--start S] [--machines 2,4,16]
 *
 * The partitions are trained one after the other in this process, each on the whole machine, with the same number of epochs, so
 * that all trainings see the same tokens. Test NDCG@10, leave-one-out, of the encoder alone; differences from ordinary training
 * with the same seed, with their paired standard errors. The time of several machines is calculated: so many times fewer steps
 * for each, and in each round the start of a process (--start, seconds), the exchange, and the average.
 */
import { parseArgs } from 'node:util';
import { Device } from '../engine/index.ts';
import { openLog } from '../cli/input/data.ts';
import { RankingModel } from '../model/inference/ranking-model.ts';
import { MemoryFiles } from '../model/storage/files.ts';
import { loadModel } from '../model/storage/load-model.ts';
import { evaluate } from '../train/evaluation/evaluate.ts';
import { gainOf } from '../train/evaluation/statistics.ts';
import type { RoundRecord, TrainResult } from '../train/loop/options.ts';
import { InProcess } from '../train/parallel/in-process.ts';
import { checkParallel } from '../train/parallel/options.ts';
import { planTraining } from '../train/plan.ts';
import { runPlan } from '../train/run-plan.ts';

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string', default: '' },
    epochs: { type: 'string', default: '10' },
    workers: { type: 'string', default: '1,2,4' },
    sync: { type: 'string', multiple: true, default: [''] },
    set: { type: 'string', default: '' },
    seeds: { type: 'string', default: '1' },
    start: { type: 'string', default: '2' },
    machines: { type: 'string', default: '2,4,16' },
  },
});

const listOf = (text: string): number[] => text.split(',').filter(Boolean).map(Number);
const pairsOf = (text: string): [string, string][] =>
  text
    .split(',')
    .filter(Boolean)
    .map((pair) => pair.split('=') as [string, string]);
const print = (line: string) => process.stdout.write(`${line}\n`);
const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / Math.max(1, values.length);

const epochs = Number(flags.epochs);
const device = await Device.open();
const log = await openLog(flags.data, { columns: {}, maxBadRows: 0 });

interface Trained {
  ndcg: Float32Array | Float64Array | number[];
  result: TrainResult;
  /** Of the weights in f32. */
  bytes: number;
}

async function train(seed: number, workers: number | null, sync = ''): Promise<Trained> {
  const plan = planTraining(
    { log, name: flags.data },
    {
      recipe: 'sasrec',
      settings: { memory: 'off', validateSteps: '1000000', ...Object.fromEntries(pairsOf(flags.set)) },
      epochs,
      seed,
      parallel: workers === null ? undefined : checkParallel(workers, new Map(pairsOf(sync))),
    },
  );
  const files = new MemoryFiles();
  const partitions = workers === null ? undefined : new InProcess(device, plan);
  const { result } = await runPlan(plan, { device, files, partitions });
  const model = await RankingModel.load(device, await loadModel(files));
  try {
    const { perUser } = await evaluate(model.encoder, plan.split, { split: 'test' });
    const bytes = model.encoder.parameters.count * 4;
    return { ndcg: perUser['NDCG@10'], result, bytes };
  } finally {
    model.dispose();
  }
}

const signed = (x: number): string => `${x < 0 ? '−' : '+'}${Math.abs(x).toFixed(4)}`;

for (const seed of listOf(flags.seeds)) {
  const alone = await train(seed, null);
  const { tokens, step, seconds } = alone.result;
  print(
    `seed ${seed}, ordinary training: NDCG@10 ${mean([...alone.ndcg]).toFixed(4)}, ${step} steps, ${tokens} tokens, ${seconds.toFixed(0)} s; weights ${(alone.bytes / 1e6).toFixed(2)} MB`,
  );
  for (const [workers, sync] of listOf(flags.workers).flatMap((n) => flags.sync.map((s) => [n, s] as const))) {
    const divided = await train(seed, workers, sync);
    const { mean: gain, error } = gainOf(alone.ndcg, divided.ndcg);
    const { rounds = [], step, tokens } = divided.result;
    print(
      `  ${workers} workers, ${sync || 'as by default'}: NDCG@10 ${mean([...divided.ndcg]).toFixed(4)}, ${signed(gain)} ± ${error.toFixed(4)}; ${step} steps, ${tokens} tokens, ${rounds.length} rounds`,
    );
    describe(rounds, workers);
  }
}
device.close();

function describe(rounds: readonly RoundRecord[], workers: number): void {
  const per = (of: (record: RoundRecord) => number): number => mean(rounds.map(of));
  const bytes = (of: (record: RoundRecord) => number): string => `${(per(of) / workers / 1e6).toFixed(3)} MB`;
  const steps = rounds.reduce((sum, record) => sum + record.steps, 0);
  const step = rounds.reduce((sum, { seconds }) => sum + seconds.steps, 0) / Math.max(1, steps);
  const [exchange, average] = [per(({ seconds }) => seconds.exchange), per(({ seconds }) => seconds.average)];
  print(
    `    a round and worker: ${bytes((r) => r.bytes.weights)} of weights, ${bytes((r) => r.bytes.changes)} of changes, ${bytes((r) => r.bytes.states)} of moments written; a step ${(1000 * step).toFixed(0)} ms, exchange ${(1000 * exchange).toFixed(0)} ms, average ${((1000 * average) / workers).toFixed(1)} ms`,
  );
  // What one machine does alone, and what W do side by side.
  const all = steps * workers * step;
  const machines = listOf(flags.machines).map((w) => {
    const wall = all / w + ((rounds.length * workers) / w) * (Number(flags.start) + exchange + (w * average) / workers);
    return `${w}: ${wall.toFixed(0)} s`;
  });
  print(
    `    calculated: 1 machine ${all.toFixed(0)} s of steps; ${machines.join(', ')} (start ${flags.start} s a round)`,
  );
}
