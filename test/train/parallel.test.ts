/** Data-parallel training: one partition is ordinary training, several share their steps, and what is wrong is left out. */
import { afterAll, describe, expect, it } from 'vitest';
import { loadCheckpoint } from '../../model/storage/checkpoint.ts';
import { type Files, MemoryFiles } from '../../model/storage/files.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import type { PackedTensor } from '../../model/storage/packed-tensor.ts';
import { decode, encode, type SafeTensors, type StoredTensor } from '../../model/storage/safetensors.ts';
import { decodeExchange, encodeExchange } from '../../train/parallel/exchange.ts';
import { InProcess } from '../../train/parallel/in-process.ts';
import { checkParallel, type PartitionOutcome } from '../../train/parallel/options.ts';
import { CHANGE, divideUsers, folderOf, trainPartition, weightsFile } from '../../train/parallel/partition.ts';
import { planTraining, type RankingPlan } from '../../train/plan.ts';
import { resumePlan } from '../../train/resume-plan.ts';
import { runPlan } from '../../train/run-plan.ts';
import { openDevice } from '../device.ts';
import { set } from '../set.ts';
import { randomSource, sameBits, stopWhen } from './small.ts';

const settings = set('d=8 ff=16 blocks=1 heads=1 window=16 budget=64 validateSteps=1000 memory=off');
const { items: _, users: __, ...source } = randomSource(40, 8, 12);
const device = await openDevice({ backend: 'cpu' });
afterAll(() => device.close());

/** Partitions in this process, of which one may get lost or come back with something else. */
class Inline extends InProcess {
  /** What comes of a partition in a round instead, where it is asked; it may change files first. */
  instead: (round: number, partition: number, files: Files) => Promise<PartitionOutcome | null> = async () => null;
  rounds = 0;

  protected override async answer(round: number, partition: number, answer: unknown): Promise<PartitionOutcome> {
    this.rounds = round;
    const other = await this.instead(round, partition, await this.folder(folderOf(round, partition)));
    return other ?? { answer: JSON.parse(JSON.stringify(answer)) };
  }
}

interface Asked {
  workers?: number;
  sync?: Record<string, string>;
  epochs?: number;
  more?: Record<string, string>;
}

const planOf = ({ workers, sync = {}, epochs = 3, more = {} }: Asked): RankingPlan =>
  planTraining(source, {
    recipe: 'sasrec',
    settings: { ...settings, ...more },
    minInteractions: 1,
    epochs,
    parallel: workers === undefined ? undefined : checkParallel(workers, new Map(Object.entries(sync))),
  });

async function trained(asked: Asked, change: (inline: Inline) => void = () => {}) {
  const plan = planOf(asked);
  const files = new MemoryFiles();
  const inline = new Inline(device, plan);
  change(inline);
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const partitions = asked.workers === undefined ? undefined : inline;
  const model = await runPlan(plan, { device, files, partitions, log });
  return { files, inline, lines, model, rounds: model.result.rounds ?? [] };
}

/** The largest difference of two models' weights. */
async function difference(a: Files, b: Files): Promise<number> {
  const [one, other] = [await loadModel(a), await loadModel(b)];
  let most = 0;
  for (const [name, { data }] of one.tensors)
    data.forEach((x, i) => {
      most = Math.max(most, Math.abs(x - (other.tensors.get(name)?.data[i] ?? Number.NaN)));
    });
  return most;
}

const identity = { steps: 'all', rate: '1', momentum: '0', exchange: 'f32' };

describe('data-parallel training', () => {
  it('is ordinary training with one worker, all steps, η = 1 and μ = 0', async () => {
    const ordinary = await trained({});
    const parallel = await trained({ workers: 1, sync: identity });
    expect(parallel.inline.rounds).toBe(1);
    // A change is rounded to f32 once.
    expect(await difference(ordinary.files, parallel.files)).toBeLessThan(1e-7);
    expect(parallel.model.metrics).toEqual(ordinary.model.metrics);
    const { reason, step, tokens } = parallel.model.result;
    const { result } = ordinary.model;
    expect([reason, step, tokens]).toEqual([result.reason, result.step, result.tokens]);
    // The comparison can fail: two workers come to other weights.
    const two = await trained({ workers: 2, sync: identity });
    expect(await difference(ordinary.files, two.files)).toBeGreaterThan(1e-3);
    expect(two.model.result.tokens).toBe(result.tokens);
  });

  it('keeps the moments of a partition: rounds of few steps are the same training', async () => {
    const ordinary = await trained({});
    const parallel = await trained({ workers: 1, sync: { ...identity, steps: '2' } });
    expect(parallel.inline.rounds).toBeGreaterThan(5);
    expect(await difference(ordinary.files, parallel.files)).toBeLessThan(1e-5);
    expect(parallel.model.result.step).toBe(ordinary.model.result.step);
  });

  it('continues after an interruption with the same weights, bit for bit', async () => {
    const asked = { workers: 2, epochs: 6, sync: { steps: '2' }, more: { validateSteps: '4', ema: '0.9' } };
    const whole = await trained(asked);
    const files = new MemoryFiles();
    const inline = new Inline(device, planOf(asked));
    const stopped = stopWhen(({ phase, step }) => phase === 'training' && step >= 4);
    const first = await runPlan(inline.plan, { device, files, partitions: inline, ...stopped });
    expect(first.result.reason).toBe('interrupted');
    await loadModel(files);
    inline.plan = await resumePlan(files, source, { epochs: 6 });
    const second = await runPlan(inline.plan, { device, files, partitions: inline });
    expect(second.result.reason).toBe('epochs');
    const [one, other] = [await loadCheckpoint(whole.files), await loadCheckpoint(files)];
    for (const group of ['params', 'm', 'average'] as const)
      for (const [name, { data }] of one?.[group] ?? [])
        expect(sameBits(data, other?.[group]?.get(name)?.data), `${group} ${name}`).toBe(true);
    expect(second.metrics).toEqual(whole.model.metrics);
    await expect(runPlan(await resumePlan(files, source), { device, files })).rejects.toThrow(
      /is trained by 2 workers.*`queue`/,
    );
  });

  it('stops early by its validations, and keeps the best weights', async () => {
    const more = { validateSteps: '4', patience: '2', learningRate: '0.3' };
    const { model } = await trained({ workers: 2, sync: { steps: '4' }, epochs: 200, more });
    const { reason, bestStep, step, validations } = model.result;
    expect(reason).toBe('early-stopping');
    expect(step).toBe((bestStep ?? 0) + 8);
    expect(model.step).toBe(bestStep);
    expect(validations.length).toBe(step / 4);
  });

  it('leaves a partition out that does not come back, for the round', async () => {
    const { model, lines, rounds } = await trained({ workers: 2, sync: { steps: '4' } }, (inline) => {
      inline.instead = async (round, partition) =>
        round === 2 && partition === 1 ? { reason: 'its worker died' } : null;
    });
    expect(lines).toEqual(['round 2: partition 2 of 2 is left out: its worker died']);
    expect(rounds.map(({ leftOut }) => leftOut.length)).toEqual([0, 1, ...rounds.slice(2).map(() => 0)]);
    expect(rounds[1].tokens).toBeLessThan(0.6 * rounds[0].tokens);
    expect(model.result.reason).toBe('epochs');
    expect(model.metrics).not.toBeNull();
  });

  it('ends with the reason of each partition where none comes back', async () => {
    await expect(
      trained({ workers: 2 }, (inline) => {
        inline.instead = async () => ({ reason: 'the process ended with 3' });
      }),
    ).rejects.toThrow(/^round 1: no partition came back \(1: the process ended with 3; 2: the process/);
  });

  it('divides the users evenly, each into one partition', () => {
    const { split } = planOf({});
    const owners = divideUsers(split, 3, 1);
    const positions = [0, 1, 2].map((p) =>
      split.trainedOn(Uint8Array.from(owners, (owner) => Number(owner === p))).trainPositions(),
    );
    expect(positions.reduce((a, b) => a + b)).toBe(split.trainPositions());
    expect(Math.max(...positions) - Math.min(...positions)).toBeLessThan(20);
    expect(divideUsers(split, 3, 2)).not.toEqual(owners);
  });
});

describe('a change that is wrong', () => {
  type Damage = (file: SafeTensors) => void;
  type Tensors = SafeTensors['tensors'];
  const nameOf = (tensors: Tensors): string => [...tensors.keys()].find((key) => !key.endsWith('/rows')) as string;
  const first = (tensors: Tensors) => tensors.get(nameOf(tensors)) as StoredTensor;
  const stamped =
    (change: object): Damage =>
    ({ metadata }) =>
      metadata.set('exchange', JSON.stringify({ ...JSON.parse(metadata.get('exchange') as string), ...change }));

  it.each<[string, string, Damage, RegExp]>([
    ['NaN in f32', 'f32', ({ tensors }) => void first(tensors).data.fill(Number.NaN), /holds NaN at 0/],
    [
      'NaN in f16',
      'f16',
      ({ tensors }) => {
        (first(tensors) as PackedTensor).rows().words.fill(0x7e007e00);
      },
      /holds NaN at 0/,
    ],
    [
      'an infinite scale',
      'int8',
      ({ tensors }) => void (first(tensors) as PackedTensor).rows().scales.fill(1 / 0),
      /holds Infinity at 0/,
    ],
    [
      'another shape',
      'f16',
      ({ tensors }) => void tensors.set(nameOf(tensors), { shape: [1, 1], data: new Float32Array(1) }),
      /expected F32 \[\d+, \d+\], got F32 \[1, 1\]/,
    ],
    [
      'a row that is none',
      'f16',
      ({ tensors }) => void tensors.set(`${nameOf(tensors)}/rows`, { shape: [1], data: Uint32Array.of(1e6) }),
      /rows: expected ascending integers below \d+, got 1000000 at 0/,
    ],
    [
      'another parameter',
      'f16',
      ({ tensors }) => void tensors.set('other', { shape: [1], data: new Float32Array(1) }),
      /tensor other: not one of this model's/,
    ],
    [
      'another config',
      'f16',
      stamped({ terms: 'abc' }),
      /of another training \(its terms are abc, expected [0-9a-f]{12}\)/,
    ],
    ['another round', 'f16', stamped({ round: 7 }), /of another round \(it is 7, expected 1\)/],
    ['another partition', 'int8', stamped({ partition: 0 }), /of another partition \(it is 0, expected 1\)/],
    ['no exchange', 'f16', ({ metadata }) => void metadata.delete('exchange'), /not an exchange of weights/],
  ])('is refused in one line: %s', async (_, exchange, damage, message) => {
    const { lines, model } = await trained({ workers: 2, epochs: 1, sync: { exchange } }, (inline) => {
      inline.instead = async (round, partition, files) => {
        if (round !== 1 || partition !== 1) return null;
        const found = decode((await files.read(CHANGE)) as Uint8Array);
        damage(found);
        await files.write(CHANGE, encode(found.tensors, found.metadata));
        return null;
      };
    });
    expect(lines[0]).toMatch(message);
    expect(lines[0]).toMatch(/^round 1: partition 2 of 2 is left out: round-000001-part-2\/change\.safetensors: /);
    expect(lines[0]).not.toContain('\n');
    expect(model.metrics).not.toBeNull();
  });

  it('is refused where the file, or the answer of the worker, is damaged', async () => {
    const cut = await trained({ workers: 2, epochs: 1 }, (inline) => {
      inline.instead = async (_, partition, files) => {
        if (partition === 1) return { answer: { reason: 'steps', steps: -1 } };
        await files.write('other', 'x');
        return null;
      };
    });
    expect(cut.lines[0]).toMatch(/answer\.steps: expected an integer from 0/);
  });

  it('is not made of weights of another round', async () => {
    const plan = planOf({ workers: 1 });
    const inline = new Inline(device, plan);
    const options = { device, partitions: inline, round: 1, partition: 0, started: performance.now() };
    await expect(trainPartition(plan, options)).rejects.toThrow('rounds/round-000001.json: there is no such round');
    await inline.files.write('round-000001.json', '{"terms":"other","round":1,"epochs":null,"states":[null]}');
    await expect(trainPartition(plan, options)).rejects.toThrow(/of another training \(its terms are other/);
    expect(weightsFile(1)).toBe('round-000001.safetensors');
  });
});

describe('an exchange', () => {
  const shapes = new Map([
    ['table', [5, 3]],
    ['vector', [7]],
  ]);
  const table = Float32Array.from({ length: 15 }, (_, i) =>
    [1, 3].includes(Math.floor(i / 3)) ? 0 : (i - 6) * 10 ** -(i % 5),
  );
  const vector = Float32Array.from({ length: 7 }, (_, i) => (i - 3) / 1e6);
  const values = new Map([
    ['table', table],
    ['vector', vector],
  ]);
  const about = { terms: 't', round: 1, partition: null };
  const file = (exchange: 'f32' | 'f16' | 'int8') => {
    const pieces = encodeExchange(values, shapes, exchange, about);
    return Uint8Array.from(pieces.flatMap((piece) => [...piece]));
  };

  it.each([
    ['f32', 0, 0],
    ['f16', 2 ** -11, 2 ** -25],
    ['int8', 0.5 / 127, 0],
  ] as const)('in %s leaves out rows of zeros, and is within rounding', (exchange, error, least) => {
    const bytes = file(exchange);
    expect([...(decode(bytes).tensors.get('table/rows')?.data ?? [])]).toEqual([0, 2, 4]);
    expect(decode(bytes).tensors.has('vector/rows')).toBe(false);
    const found = decodeExchange(bytes, 'file', shapes, about);
    for (const [name, columns] of [
      ['table', 3],
      ['vector', 7],
    ] as const) {
      const wanted = values.get(name) as Float32Array;
      for (const [i, x] of (found.get(name) as Float32Array).entries()) {
        const row = wanted.subarray(i - (i % columns), i - (i % columns) + columns);
        expect(Math.abs(x - wanted[i])).toBeLessThanOrEqual(error * 1.001 * Math.max(...row.map(Math.abs)) + least);
      }
    }
  });
});

describe('the choice of rounds', () => {
  it.each([
    ['pace=3', /sync.*expected steps, rate, momentum, exchange, got pace/],
    ['steps=0', /steps: expected an integer >= 1, or all, got 0/],
    ['rate=-1', /rate: expected a number > 0, got -1/],
    ['momentum=1', /momentum: expected a number >= 0 and < 1/],
    ['exchange=f8', /exchange: expected f32, f16, int8, got f8/],
  ])('%s is refused', (text, message) => {
    expect(() => checkParallel(2, new Map([text.split('=') as [string, string]]))).toThrow(message);
  });

  it('is that of DiLoCo', () => {
    expect(checkParallel(4)).toEqual({ workers: 4, steps: 50, rate: 0.7, momentum: 0.9, exchange: 'f16' });
    expect(checkParallel(1, new Map([['steps', 'all']])).steps).toBe(0);
  });
});
