import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  AdamW,
  adamwStatus,
  adamwStep,
  Device,
  div,
  exp,
  fill,
  log,
  mul,
  ParameterArena,
  type ParameterSpec,
  scale,
  sigmoid,
  softmax,
  sum,
  type Tensor,
} from '../engine/index.ts';
import { openDevice } from './device.ts';

const golden = JSON.parse(readFileSync(new URL('./golden/adamw.json', import.meta.url), 'utf8')) as {
  config: {
    steps: number;
    lr: number;
    betas: [number, number];
    eps: number;
    decay: number;
    decayed: string[];
    clip: number;
  };
  tensors: Record<string, { shape: number[]; data: number[] }>;
};
const NAMES = ['a.weight', 'a.bias', 'b.weight', 'norm.weight'];
const { config } = golden;
const options = {
  beta1: config.betas[0],
  beta2: config.betas[1],
  eps: config.eps,
  weightDecay: config.decay,
  clip: config.clip,
};

const specs = (): ParameterSpec[] =>
  NAMES.map((name) => {
    const { shape, data } = golden.tensors[`start.${name}`];
    return { name, shape, decay: config.decayed.includes(name), init: Float32Array.from(data) };
  });

function setRate(device: Device, rate = config.lr): void {
  const words = new Uint32Array(16);
  new Float32Array(words.buffer)[2] = rate;
  device.setState(words);
}

function writeGradients(device: Device, arena: ParameterArena, step: number): void {
  for (const name of NAMES)
    device.write(arena.get(name).grad as Tensor, golden.tensors[`step${step}.gradient.${name}`].data);
}

function expectClose(actual: Map<string, Float32Array>, prefix: string): void {
  for (const name of NAMES) {
    const expected = golden.tensors[`${prefix}.${name}`].data;
    expect(actual.get(name)?.length).toBe(expected.length);
    expected.forEach((e, i) =>
      expect(Math.abs((actual.get(name) as Float32Array)[i] - e), `${prefix}.${name}[${i}]`).toBeLessThan(
        2e-6 + 1e-5 * Math.abs(e),
      ),
    );
  }
}

const f32 = (bits: number): number => new Float32Array(Uint32Array.of(bits).buffer)[0];

describe.each(['cpu', 'wasm', 'webgpu'] as const)('on %s', async (backend) => {
  const device = await openDevice({ backend });

  // 512 bytes a shard puts two parameters into each.
  it.each([undefined, 512])(
    'AdamW follows PyTorch for five steps, arenas of at most %s bytes',
    async (maxBindingBytes) => {
      const arena = new ParameterArena(device, specs(), { maxBindingBytes });
      expect(arena.shards.length).toBe(maxBindingBytes ? 2 : 1);
      const status = device.tensor(adamwStatus(options));
      const losses = device.zeros([4]);
      for (let step = 1; step <= config.steps; step++) {
        setRate(device);
        writeGradients(device, arena, step);
        const before = device.stats().dispatches;
        const loss = device.tensor([step / 2]);
        adamwStep(arena, { ...options, loss, status, losses });
        // Padding cleared, norm and update of each shard, and the norm's end.
        expect(device.stats().dispatches - before).toBe(1 + 3 * arena.shards.length);
        expectClose(await arena.read(), `step${step}.parameter`);
        const words = await status.data();
        expect(words[0]).toBe(0);
        expect(f32(words[1])).toBeCloseTo(golden.tensors.norms.data[step - 1], 4);
        for (const { grads } of arena.shards) expect((await grads.data()).every((g) => g === 0)).toBe(true);
      }
      expectClose(await arena.read('m'), 'end.m');
      expectClose(await arena.read('v'), 'end.v');
      expect([...(await losses.data())]).toEqual([2, 2.5, 1, 1.5]);
      for (const t of [status, losses]) t.dispose();
      arena.dispose();
    },
  );

  it.each([
    ['a loss that is NaN', Number.NaN, 0.5, 1],
    ['a gradient that is NaN', 1, Number.NaN, 2],
    ['a gradient that is infinite', 1, Number.NEGATIVE_INFINITY, 2],
    ['a gradient whose square overflows', 1, 3e38, 2],
  ])('%s stops the optimizer for good', async (_, badLoss, badGradient, what) => {
    const arena = new ParameterArena(device, specs());
    const status = device.tensor(adamwStatus(options));
    const losses = device.zeros([4]);
    const run = (loss: number, gradient: number): void => {
      setRate(device);
      device.write(arena.get('norm.weight').grad as Tensor, new Float32Array(9).fill(gradient));
      adamwStep(arena, { ...options, loss: device.tensor([loss]), status, losses });
    };
    run(1, 0.5);
    const sound = await arena.read();
    run(badLoss, badGradient);
    run(1, 0.5);
    expect(await arena.read()).toEqual(sound);
    const words = await status.data();
    expect([words[0], words[4]]).toEqual([2, what]);
    arena.zeroGradients();
    expect((await arena.shards[0].grads.data()).every((g) => g === 0)).toBe(true);
    arena.dispose();
  });

  it('a learning rate that is not finite stops the optimizer, too', async () => {
    const arena = new ParameterArena(device, specs());
    const status = device.tensor(adamwStatus(options));
    const sound = await arena.read();
    setRate(device, Number.NaN);
    adamwStep(arena, { ...options, status });
    expect(await arena.read()).toEqual(sound);
    expect([(await status.data())[0], (await status.data())[4]]).toEqual([1, 4]);
    arena.dispose();
  });

  describe('the optimizer counts its steps', () => {
    /** The weights and moments after so many steps down the same gradient; `steps` is what prepare() gets. */
    async function train(arena: ParameterArena, adamw: AdamW, steps: number[], replayed = false): Promise<void> {
      const gradients = device.tensor(golden.tensors['step1.gradient.b.weight'].data, [3, 4]);
      const step = () => {
        const loss = sum(mul(arena.get('b.weight'), gradients));
        loss.backward();
        adamw.step(loss);
        return {};
      };
      const program = device.program('step', step);
      for (const step_ of steps) {
        adamw.prepare({ seed: 1, step: step_, learningRate: 0.01, dropout: false });
        if (replayed) program.run();
        else device.scope(step);
      }
      program.dispose();
    }
    const all = async (arena: ParameterArena) => [await arena.read(), await arena.read('m'), await arena.read('v')];
    const make = (): [ParameterArena, AdamW] => {
      const arena = new ParameterArena(device, specs());
      return [arena, new AdamW(arena, options)];
    };

    it('whatever prepare() gets, eager or replayed, and continues from a checkpoint', async () => {
      const results = [];
      for (const [numbers, replayed] of [
        [[1, 2, 3, 4, 5], false],
        [[0, 0, 0, 0, 0], false],
        [[7, 7, 7, 7, 7], true],
      ] as const) {
        const [arena, adamw] = make();
        await train(arena, adamw, [...numbers], replayed);
        const words = await adamw.status.data();
        expect([words.length, words[0], words[5]]).toEqual([16, 0, 5]);
        results.push(await all(arena));
      }
      const [first, adamw] = make();
      await train(first, adamw, [1, 2, 3]);
      const saved = await all(first);
      const [second, resumed] = make();
      (['params', 'm', 'v'] as const).forEach((kind, i) => second.load(kind, saved[i]));
      resumed.continueFrom(3);
      await train(second, resumed, [4, 5]);
      results.push(await all(second));
      for (const result of results.slice(1)) expect(result).toEqual(results[0]);
      expect([...(results[0][0].get('b.weight') as Float32Array)].every(Number.isFinite)).toBe(true);
    });

    it('with the corrections that a step by itself would have, to the last and beyond', () => {
      const betas = { beta1: 0.9, beta2: 0.98 };
      const words = adamwStatus(betas, 12);
      const floats = new Float32Array(words.buffer);
      const rows = (words.length - 16) / 2;
      for (let t = 1; t <= rows; t++) {
        expect(floats[16 + 2 * (t - 1)]).toBe(Math.fround(1 - 0.9 ** t));
        expect(floats[17 + 2 * (t - 1)]).toBe(Math.fround(1 - 0.98 ** t));
      }
      expect([floats[words.length - 2], floats[words.length - 1], words[5]]).toEqual([1, 1, 12]);
      expect(floats[words.length - 3]).toBeLessThan(1);
      expect(() => adamwStatus({ beta1: 0.9, beta2: 1 })).toThrow(
        'adamw: expected beta1 and beta2 from 0 to 0.99999, got 0.9 and 1',
      );
      expect(() => adamwStatus(betas, -1)).toThrow('got -1');
    });

    it('and refuses a step without a learning rate, and a status of other betas', async () => {
      const fresh = await Device.open({ backend });
      const arena = new ParameterArena(fresh, specs());
      const adamw = new AdamW(arena, options);
      expect(() => adamwStep(arena, { ...options, status: fresh.tensor(new Uint32Array(16)) })).toThrow(
        'adamw: expected a status made of adamwStatus({ beta1: 0.9, beta2: 0.98 }), u32 [',
      );
      expect(() => adamw.step(fresh.zeros([1]))).toThrow('adamw: the learning rate was never set; call prepare()');
      fresh.close();
    });
  });

  describe('what lies behind a parameter of odd size', () => {
    const odd = (): ParameterSpec[] =>
      [1, 5, 7, 8].map((n) => ({
        name: `w${n}`,
        shape: [n],
        decay: n !== 5,
        init: Float32Array.from({ length: n }, (_, i) => 0.5 + i / 8),
      }));
    /** Elements of an arena that no parameter has. */
    const outside = async (arena: ParameterArena, kind: 'params' | 'grads' | 'm' | 'v') => {
      const values = Array.from(await (arena.shards[0][kind] as Tensor).data());
      for (const name of arena.names)
        values.fill(0, arena.get(name).offset, arena.get(name).offset + arena.get(name).size);
      return values;
    };

    it.each(
      Object.entries({
        log: (w: Tensor) => log(w),
        exp: (w: Tensor) => exp(scale(w, 5)),
        div: (w: Tensor) => div(exp(w), w),
        softmax: (w: Tensor) => softmax(w),
        sigmoid: (w: Tensor) => sigmoid(w),
        mul: (w: Tensor) => mul(w, w),
        'a temperature': (w: Tensor) => div(device.full([3, w.size], 1), w),
      }),
    )('stays out of the norm and of the update: %s', async (_, op) => {
      const arena = new ParameterArena(device, odd());
      const status = device.tensor(adamwStatus(options));
      setRate(device);
      for (let step = 1; step <= 2; step++) {
        device.scope(() => {
          for (const name of arena.names) {
            const y = op(arena.get(name));
            sum(mul(y, y)).backward();
          }
        });
        const grads = await Promise.all(arena.names.map(async (name) => await (arena.get(name).grad as Tensor).data()));
        const norm = Math.sqrt(grads.flatMap((g) => [...g]).reduce((total, g) => total + g * g, 0));
        adamwStep(arena, { ...options, status });
        const words = await status.data();
        expect(words[0]).toBe(0);
        expect(f32(words[1]) / norm).toBeCloseTo(1, 5);
      }
      for (const kind of ['params', 'grads', 'm', 'v'] as const)
        expect(
          (await outside(arena, kind)).every((x) => x === 0),
          kind,
        ).toBe(true);
      arena.dispose();
    });

    it('may hold NaN before a step, and is never written by fill', async () => {
      const arena = new ParameterArena(device, odd());
      const plain = new ParameterArena(device, odd());
      for (const a of [arena, plain]) for (const name of a.names) fill(a.get(name).grad as Tensor, 0.25);
      expect((await outside(arena, 'grads')).every((x) => x === 0)).toBe(true);
      const { grads } = arena.shards[0];
      const poisoned = Float32Array.from(await grads.data());
      for (const name of ['w1', 'w5', 'w7']) {
        const end = arena.get(name).offset + arena.get(name).size;
        poisoned.fill(Number.NaN, end, Math.ceil(end / 4) * 4);
      }
      device.write(grads, poisoned);
      setRate(device);
      for (const a of [arena, plain]) adamwStep(a, { ...options, status: device.tensor(adamwStatus(options)) });
      for (const kind of ['params', 'm', 'v'] as const) {
        expect(await arena.read(kind)).toEqual(await plain.read(kind));
        expect(
          (await outside(arena, kind)).every((x) => x === 0),
          kind,
        ).toBe(true);
      }
      for (const a of [arena, plain]) a.dispose();
    });
  });

  it('parameters lie aligned, those that decay first, and load what was read', async () => {
    const arena = new ParameterArena(device, specs());
    expect(arena.names).toEqual(['a.weight', 'b.weight', 'a.bias', 'norm.weight']);
    expect(arena.names.map((name) => arena.get(name).offset)).toEqual([0, 64, 128, 192]);
    expect(arena.shards[0].decayEnd).toBe(128);
    expect(arena.count).toBe(35 + 12 + 7 + 9);
    expect(arena.shapeOf('b.weight')).toEqual([3, 4]);
    expect(arena.get('a.weight').requiresGrad).toBe(true);
    const values = await arena.read();
    const doubled = new Map([...values].map(([name, a]) => [name, a.map((x) => 2 * x)]));
    arena.load('v', doubled);
    expect(await arena.read('v')).toEqual(doubled);
    expect(await arena.read()).toEqual(values);
    doubled.delete('a.bias');
    expect(() => arena.load('params', doubled)).toThrow('parameters: a.bias is missing');
    expect(() => arena.load('params', new Map([...values, ['other', new Float32Array(1)]]))).toThrow(
      'other is not a parameter',
    );
    expect(() => arena.load('params', new Map([...values, ['a.bias', new Float32Array(1)]]))).toThrow(
      'expected a.bias [7], got 1 values',
    );
    expect(() => arena.get('other')).toThrow('there is no other');
    arena.dispose();
  });

  it('a parameter beyond the limit of a binding is named', () => {
    const make = () => new ParameterArena(device, specs(), { maxBindingBytes: 128 });
    expect(make).toThrow(/^parameters: a.weight \[5,7\] needs .* MiB, the adapter binds at most .* MiB$/);
    expect(() => new ParameterArena(device, [...specs(), specs()[0]])).toThrow('the name a.weight was given twice');
  });
});
