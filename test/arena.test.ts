import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adamwStep, Device, ParameterArena, type ParameterSpec, type Tensor } from '../engine/index.ts';

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

function setStep(device: Device, step: number): void {
  const words = new Uint32Array(16);
  const floats = new Float32Array(words.buffer);
  words[1] = step;
  floats.set([config.lr, 1 - config.betas[0] ** step, 1 - config.betas[1] ** step], 2);
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

describe.each(['cpu', 'webgpu'] as const)('on %s', (backend) => {
  let device: Device;
  beforeAll(async () => {
    device = await Device.open({ backend });
  });
  afterAll(() => device.close());

  // 512 bytes a shard puts two parameters into each.
  it.each([undefined, 512])(
    'AdamW follows PyTorch for five steps, arenas of at most %s bytes',
    async (maxBindingBytes) => {
      const arena = new ParameterArena(device, specs(), { maxBindingBytes });
      expect(arena.shards.length).toBe(maxBindingBytes ? 2 : 1);
      const status = device.tensor(new Uint32Array(16));
      const losses = device.zeros([4]);
      for (let step = 1; step <= config.steps; step++) {
        setStep(device, step);
        writeGradients(device, arena, step);
        const before = device.stats().dispatches;
        const loss = device.tensor([step / 2]);
        adamwStep(arena, { ...options, loss, status, losses });
        expect(device.stats().dispatches - before).toBe(1 + 2 * arena.shards.length);
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
    const status = device.tensor(new Uint32Array(16));
    const losses = device.zeros([4]);
    const run = (step: number, loss: number, gradient: number): void => {
      setStep(device, step);
      device.write(arena.get('norm.weight').grad as Tensor, new Float32Array(9).fill(gradient));
      adamwStep(arena, { ...options, loss: device.tensor([loss]), status, losses });
    };
    run(1, 1, 0.5);
    const sound = await arena.read();
    run(2, badLoss, badGradient);
    run(3, 1, 0.5);
    expect(await arena.read()).toEqual(sound);
    const words = await status.data();
    expect([words[0], words[4]]).toEqual([2, what]);
    arena.zeroGradients();
    expect((await arena.shards[0].grads.data()).every((g) => g === 0)).toBe(true);
    arena.dispose();
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
      'a.bias [7] was expected, came 1 values',
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
