/** The optimizers as users call them: on arenas and on plain leaves, eager and replayed, with schedules, and when they fail. */
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import {
  AdamW,
  crossEntropy,
  Device,
  dropout,
  embedding,
  groupRows,
  matmul,
  mul,
  ParameterArena,
  schedule,
  SGD,
  type Optimizer,
  type ParameterTree,
  sub,
  sum,
  type Tensor,
} from '../engine/index.ts';
import { learningRateAt } from '../train/loop/schedule.ts';
import { settingsFor } from '../model/recipes/recipes.ts';
import { openDevice } from './device.ts';

const START = { w: [1, -2, 3, 0.5, 2, -1], b: [0.25, -0.5, 4] };
const TARGET = { w: [0, 1, 2, 3, 4, 5], b: [1, 1, 1] };

describe.each(['cpu', 'wasm', 'webgpu'] as const)('on %s', async (backend) => {
  const device = await openDevice({ backend });
  const leaves = () => ({
    layer: { w: device.tensor(START.w, [2, 3], { requiresGrad: true }) },
    biases: [device.tensor(START.b, [3], { requiresGrad: true })],
  });
  type Leaves = ReturnType<typeof leaves>;
  const targets = { w: device.tensor(TARGET.w, [2, 3]), b: device.tensor(TARGET.b) };
  const square = (x: Tensor, target: Tensor): Tensor => {
    const d = sub(x, target);
    return sum(mul(d, d));
  };

  async function train(
    make: (tree: ParameterTree) => Optimizer,
    steps: number,
    replayed: boolean,
  ): Promise<{ values: number[]; optimizer: Optimizer }> {
    const model: Leaves = leaves();
    const optimizer = make(model);
    const step = () => {
      square(model.layer.w, targets.w).backward();
      const loss = square(model.biases[0], targets.b);
      loss.backward();
      optimizer.step(loss);
      return {};
    };
    const program = device.program('step', step);
    for (let i = 0; i < steps; i++) {
      optimizer.prepare();
      if (replayed) program.run();
      else device.scope(step);
    }
    const values = [...(await model.layer.w.data()), ...(await model.biases[0].data())];
    program.dispose();
    return { values, optimizer };
  }

  it.each([
    ['plain', { momentum: 0, nesterov: false, weightDecay: 0, clip: 0 }],
    ['with momentum and weight decay', { momentum: 0.9, nesterov: false, weightDecay: 0.1, clip: 0 }],
    ['with Nesterov momentum, clipped', { momentum: 0.8, nesterov: true, weightDecay: 0, clip: 1 }],
  ])('SGD %s takes the steps of its formula', async (_, options) => {
    const rate = (step: number) => 0.05 / step;
    const w = [...START.w, ...START.b];
    const target = [...TARGET.w, ...TARGET.b];
    const momentum = w.map(() => 0);
    for (let step = 1; step <= 4; step++) {
      const g = w.map((x, i) => 2 * (x - target[i]));
      const norm = Math.sqrt(g.reduce((total, x) => total + x * x, 0));
      const factor = options.clip ? Math.min(1, options.clip / norm) : 1;
      for (const [i, x] of g.entries()) {
        const gradient = x * factor + (i < 6 ? options.weightDecay * w[i] : 0); // matrices alone decay
        momentum[i] = options.momentum * momentum[i] + gradient;
        w[i] -= rate(step) * (options.nesterov ? gradient + options.momentum * momentum[i] : momentum[i]);
      }
    }
    for (const replayed of [false, true]) {
      const { values, optimizer } = await train(
        (tree) => new SGD(tree, { ...options, learningRate: rate }),
        4,
        replayed,
      );
      values.forEach((x, i) => expect(x).toBeCloseTo(w[i], 4));
      expect((await optimizer.report()).steps).toBe(4);
      optimizer.dispose();
    }
  });

  it('AdamW on leaves takes the steps that it takes on an arena', async () => {
    const options = { learningRate: 0.1, weightDecay: 0.1, clip: 1 };
    const { values, optimizer } = await train((tree) => new AdamW(tree, options), 3, true);
    const arena = new ParameterArena(device, [
      { name: 'w', shape: [2, 3], decay: true, init: Float32Array.from(START.w) },
      { name: 'b', shape: [3], decay: false, init: Float32Array.from(START.b) },
    ]);
    const other = new AdamW(arena, options);
    for (let i = 0; i < 3; i++) {
      other.prepare();
      device.scope(() => {
        square(arena.get('w'), targets.w).backward();
        const loss = square(arena.get('b'), targets.b);
        loss.backward();
        other.step(loss);
      });
    }
    const expected = [...(await arena.get('w').data()), ...(await arena.get('b').data())];
    values.forEach((x, i) => expect(x).toBeCloseTo(expected[i], 5));
    const { steps, gradientNorm, loss } = await optimizer.report();
    expect(steps).toBe(3);
    const last = await other.report();
    expect(gradientNorm).toBeCloseTo(last.gradientNorm, 4);
    expect(loss).toBeCloseTo(last.loss, 4);
    for (const o of [optimizer, other]) o.dispose();
    arena.dispose();
  });

  it('a loss that is not finite throws at the next read of anything, until the optimizer is disposed of', async () => {
    const w = device.tensor([1, 2], [2], { requiresGrad: true });
    const optimizer = new SGD([w], { learningRate: 0.5 });
    const factor = device.tensor([1]);
    const program = device.program('step', () => {
      const loss = mul(sum(w), factor);
      loss.backward();
      optimizer.step(loss);
      return { loss };
    });
    optimizer.prepare();
    expect([...(await program.values()).loss]).toEqual([3]);
    device.write(factor, [Number.NaN]);
    for (let i = 0; i < 2; i++) {
      optimizer.prepare();
      program.run();
    }
    const says = 'sgd: the loss and the gradient of step 2 is not finite';
    await expect(program.values()).rejects.toThrow(says);
    await expect(w.data()).rejects.toThrow(says);
    optimizer.dispose();
    expect([...(await w.data())]).toEqual([0.5, 1.5]); // as after the first step
    program.dispose();
    const silent = new AdamW([w], { onFailure: 'status' });
    silent.prepare({ learningRate: Number.NaN });
    device.scope(() => silent.step());
    expect([...(await w.data())]).toEqual([0.5, 1.5]);
    expect((await silent.status.data())[0]).toBe(1);
    silent.dispose();
  });

  it('seed() makes what follows the same again: numbers, and masks eager and replayed', async () => {
    const draw = async (): Promise<number[]> => {
      const made = [
        device.normal([5], { mean: 3, std: 0.1 }),
        device.uniform([5], { low: 2, high: 4 }),
        device.normal([5]),
      ];
      return (await Promise.all(made.map((t) => t.data()))).flatMap((values) => [...values]);
    };
    device.seed(5);
    const first = await draw();
    const more = await draw();
    expect(more).not.toEqual(first);
    device.seed(5);
    expect(await draw()).toEqual(first);
    device.seed(6);
    expect(await draw()).not.toEqual(first);
    expect(first.slice(0, 5).every((x) => Math.abs(x - 3) < 1)).toBe(true);
    expect(first.slice(5, 10).every((x) => x >= 2 && x < 4)).toBe(true);
    expect(() => device.seed(-1)).toThrow('seed: expected an integer from 0 to 4294967295, got -1');

    const x = device.tensor(new Float32Array(64).fill(1)).keep();
    const w = device.tensor([1], [1], { requiresGrad: true });
    const optimizer = new SGD([w]);
    const program = device.program('dropout', () => ({ y: dropout(x, 0.5) }));
    const runs = async (): Promise<string[]> => {
      const found: string[] = [];
      for (let i = 0; i < 2; i++) {
        optimizer.prepare();
        found.push(`${(await program.values()).y}`);
      }
      return found;
    };
    expect((await runs()).every((values) => /^1(,1)*$/.test(values))).toBe(true); // no dropout outside of training
    device.training = true;
    device.seed(5);
    expect(device.training).toBe(true);
    const [a, b] = await runs();
    expect(a).not.toBe(b);
    device.seed(5);
    expect(await runs()).toEqual([a, b]);
    device.training = false;
    expect((await runs())[0]).toMatch(/^1(,1)*$/);
    optimizer.dispose();
    program.dispose();
  });

  it('embedding learns without groups as it does with them, the ids written between replays', async () => {
    const ids = device.tensor(new Uint32Array(40)).keep();
    const groups = device.tensor(groupRows(new Uint32Array(40), 40, 40).data).keep();
    const table = device.normal([7, 8], { requiresGrad: true });
    const weights = device.normal([40, 8]);
    const results: Float32Array[] = [];
    for (const given of [groups, undefined]) {
      const program = device.program('step', () => {
        sum(mul(embedding(table, ids, given), weights)).backward();
        return {};
      });
      for (const rule of [(i: number) => i % 7, (i: number) => (i * i) % 5]) {
        const now = Uint32Array.from({ length: 40 }, (_, i) => rule(i));
        device.write(ids, now);
        device.write(groups, groupRows(now, 40, 40).data);
        device.write(table.grad as Tensor, new Float32Array(56));
        program.run();
        results.push((await (table.grad as Tensor).data()) as Float32Array);
      }
      program.dispose();
    }
    for (const i of [0, 1]) results[i].forEach((g, k) => expect(results[i + 2][k]).toBeCloseTo(g, 4));
    expect(results[0]).not.toEqual(results[1]);
  });

  it('losses without weights are means', async () => {
    const x = device.normal([6, 4]);
    const table = device.normal([9, 4]);
    const targets = device.tensor(Uint32Array.of(0, 1, 2, 3, 4, 5));
    const even = device.tensor(new Float32Array(6).fill(1 / 6));
    const given = await crossEntropy(x, table, targets, even).item();
    expect(await crossEntropy(x, table, targets).item()).toBeCloseTo(given, 5);
    expect(await crossEntropy(x, table, targets, null, { labelSmoothing: 0.1 }).item()).not.toBeCloseTo(given, 3);
    expect(() => crossEntropy(x, table, device.tensor(Uint32Array.of(1)))).toThrow(
      'crossEntropy: expected targets u32 [6]',
    );
  });
});

it('a tensor is one line in a console', async () => {
  const device = await openDevice({ backend: 'cpu' });
  const w = device.tensor([1, 2, 3], [3], { label: 'w', requiresGrad: true });
  expect(inspect(w)).toBe('w f32[3] (1, 2, 3)');
  expect(inspect({ model: [w] })).toBe('{ model: [ w f32[3] (1, 2, 3) ] }');
  w.dispose();
  expect(inspect(w)).toBe('w f32[3] (freed)');
});

describe('what optimizers refuse', async () => {
  const device = await Device.open({ backend: 'cpu' });
  const leaf = () => device.tensor([1, 2], [2], { requiresGrad: true });

  it.each<[string, () => unknown, string]>([
    [
      'a constant',
      () => new AdamW({ a: { b: device.tensor([1]) } }),
      'adamw: expected parameters made with requiresGrad, got a.b f32 [1]',
    ],
    [
      'what was computed',
      () => new SGD([mul(leaf(), leaf())]),
      'sgd: expected parameters made with requiresGrad, got 0 f32 [2]',
    ],
    ['nothing', () => new SGD([]), 'sgd: expected at least one parameter, got none'],
    ['a number', () => new SGD({ w: 3 as unknown as Tensor }), 'sgd: expected tensors in lists and objects, got w 3'],
    ['a momentum of 1', () => new SGD([leaf()], { momentum: 1 }).step(), 'sgd: expected a momentum in [0, 1), got 1'],
    ['Nesterov without momentum', () => new SGD([leaf()], { nesterov: true }).step(), 'sgd: nesterov needs a momentum'],
    ['a beta of 1', () => new AdamW([leaf()], { beta2: 1 }), 'adamw: expected beta1 and beta2 from 0 to 0.99999'],
    [
      'a cosine without an end',
      () => schedule({ learningRate: 1 }),
      'schedule: expected the number of steps after which a cosine',
    ],
    [
      'another decay',
      () => schedule({ learningRate: 1, decay: 'steps' as 'linear' }),
      'schedule: expected decay to be one of',
    ],
    ['a floor above 1', () => schedule({ learningRate: 1, floor: 2, steps: 3 }), 'schedule: expected learningRate'],
  ])('%s', (_, call, message) => expect(call).toThrow(message));

  it('a step without prepare()', async () => {
    const fresh = await Device.open({ backend: 'cpu' });
    const optimizer = new SGD([fresh.tensor([1], [1], { requiresGrad: true })]);
    expect(() => optimizer.step()).toThrow('sgd: the learning rate was never set; call prepare()');
  });

  it('a leaf that is in the tree twice is one parameter', async () => {
    const w = leaf();
    const optimizer = new SGD({ a: w, b: [w] }, { learningRate: 0.5 });
    optimizer.prepare();
    sum(matmul(w.reshape([1, 2]), device.tensor([1, 1], [2, 1]))).backward();
    optimizer.step();
    expect([...(await w.data())]).toEqual([0.5, 1.5]);
    optimizer.dispose();
  });
});

describe('schedule', () => {
  it('rises, and falls to its floor', () => {
    const linear = schedule({ learningRate: 2, warmup: 4, decay: 'linear', steps: 8, floor: 0.5 });
    expect([1, 2, 4, 6, 8, 100].map(linear)).toEqual([0.5, 1, 2, 1.5, 1, 1]);
    const cosine = schedule({ learningRate: 1, steps: 10 });
    expect(cosine(5)).toBeCloseTo(0.5);
    expect(cosine(10)).toBeCloseTo(0);
    expect(schedule({ learningRate: 3, decay: 'constant' })(7)).toBe(3);
  });

  it('is what the trainer follows', () => {
    const settings = { ...settingsFor('sasrec', {}), schedule: 'cosine' as const, warmup: 10, learningRate: 0.001 };
    const own = (step: number) => {
      if (step <= 10) return (0.001 * step) / 10;
      const done = Math.min(1, (step - 10) / 90);
      return 0.001 * (0.01 + (0.99 * (1 + Math.cos(Math.PI * done))) / 2);
    };
    for (const step of [1, 10, 11, 50, 99, 100, 200]) expect(learningRateAt(settings, step, 100)).toBe(own(step));
  });
});
