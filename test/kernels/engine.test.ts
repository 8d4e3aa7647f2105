import { describe, expect, it } from 'vitest';
import {
  add,
  Device,
  dropout,
  fill,
  gelu,
  mean,
  mul,
  type NumericArray,
  normal,
  scale,
  slice,
  softmax,
  sum,
  type Tensor,
  tanh,
} from '../../engine/index.ts';
import { firstMismatch } from './harness.ts';
import { backends, cpu, gpu } from './devices.ts';

describe.each(backends)('tensors on %s', (_, device) => {
  it('are freed at the end of a scope, and using one later names it', () => {
    let temporary: Tensor | undefined;
    const kept = device.scope(() => {
      temporary = device.tensor([1, 2, 3], [3], { label: 'hidden' });
      return scale(temporary, 2).keep();
    });
    expect(() => scale(temporary as Tensor, 2)).toThrow(
      'scale: hidden [3] was freed by its scope, step or dispose(); keep() it to use it later',
    );
    expect(() => device.write(temporary as Tensor, [1, 2, 3])).toThrow('hidden [3] was freed');
    expect(() => scale(kept, 2)).not.toThrow();
    kept.dispose();
    expect(() => scale(kept, 2)).toThrow('scale [3] was freed');
  });

  it('reject when a freed one is read', async () => {
    const t = device.tensor([1], [1], { label: 'gone' });
    t.dispose();
    await expect(t.data()).rejects.toThrow('data: gone [1] was freed');
    expect(String(t)).toBe('gone f32[1] (freed)');
  });

  it('print their shape and first values', async () => {
    const t = device.tensor([1, 2, 3, 4, 5, 6, 7.123456789], [7], { label: 'numbers' });
    expect(String(t)).toMatch(/^numbers f32\[7\] /);
    expect(await t.show()).toBe('numbers f32[7] (1, 2, 3, 4, 5, 6, …)');
    expect(await device.tensor(Uint32Array.of(4294967295)).show()).toBe('tensor u32[1] (4294967295)');
    if (!device.gpu) expect(String(t)).toBe('numbers f32[7] (1, 2, 3, 4, 5, 6, …)');
  });

  it('give one value with item, and refuse it for more', async () => {
    expect(await device.tensor([2.5], []).item()).toBe(2.5);
    await expect(device.tensor([1, 2]).item()).rejects.toThrow('item: expected a single value, got [2]');
  });

  it('refuse wrong sizes at the call', () => {
    expect(() => device.tensor([1, 2, 3], [2, 2])).toThrow('tensor: 3 values do not fill [2,2]');
    expect(() => device.tensor([1, 2]).reshape([3])).toThrow('reshape: sizes differ, [2] → [3]');
    expect(() => device.write(device.tensor([1, 2]), [1])).toThrow('write: 1 values do not fill tensor [2]');
    expect(() => device.tensor(Uint32Array.of(1), [1], { requiresGrad: true })).toThrow(
      'only f32 can require a gradient',
    );
    const other = device === gpu ? cpu : gpu;
    expect(() => scale(other.tensor([1]), 1) && add(device.tensor([1]), other.tensor([1]))).toThrow(
      'lives on another device',
    );
  });
});

describe.each(backends)('gradients on %s', (_, device) => {
  it('accumulate in a leaf over passes and over uses, and a reshape shares them', async () => {
    const w = device.tensor([1, 2, 3, 4], [4], { requiresGrad: true });
    for (let i = 0; i < 2; i++) sum(add(mul(w, w), w.reshape([2, 2]).reshape([4]))).backward();
    expect(Array.from(await (w.grad as Tensor).data())).toEqual([6, 10, 14, 18]);
    expect(w.reshape([2, 2]).grad?.shape).toEqual([2, 2]);
    fill(w.grad as Tensor, 0);
    sum(w).backward();
    expect(Array.from(await (w.grad as Tensor).data())).toEqual([1, 1, 1, 1]);
  });

  it('are not recorded under noGrad', () => {
    const w = device.tensor([1, 2], [2], { requiresGrad: true });
    const y = device.noGrad(() => sum(w));
    expect(y.requiresGrad).toBe(false);
    expect(() => y.backward()).toThrow('backward: ');
    expect(sum(w).requiresGrad).toBe(true);
  });

  it('come from a scalar, once', () => {
    const w = device.tensor([1, 2], [2], { requiresGrad: true });
    const y = scale(w, 2);
    expect(() => y.backward()).toThrow('backward: expected a scalar, got [2]');
    const loss = sum(y);
    loss.backward();
    expect(() => loss.backward()).toThrow(
      'backward: a tensor that sum depends on belongs to a forward pass that an earlier backward() spent; add the losses up for one backward(), call the earlier one with { retainGraph: true }, or run the forward pass again',
    );
  });
});

/** A small step with parameters, dropout, sums, and a backward pass; its input `x` [5, 12] is written between runs. */
function makeStep(device: Device): { x: Tensor; w: Tensor; step: () => { loss: Tensor; y: Tensor } } {
  const x = device.tensor(normal(60, 1, 0), [5, 12], { label: 'x' });
  const w = device.tensor(normal(12, 1, 1), [12], { label: 'w', requiresGrad: true });
  const b = device.tensor(normal(12, 1, 2), [12], { label: 'b', requiresGrad: true });
  return {
    x,
    w,
    step: () => {
      for (const p of [w, b]) fill(p.grad as Tensor, 0);
      const y = softmax(gelu(dropout(add(mul(x, w), b), 0.25)));
      const loss = mean(mul(y, tanh(y)));
      loss.backward();
      return { loss, y };
    },
  };
}

const state = (step: number): Uint32Array => Uint32Array.from([11, step, 0, 0, 0, 1, ...Array(10).fill(0)]);
const inputOf = (step: number): NumericArray => normal(60, 2, step);

/** Losses, outputs and gradients of `steps` runs with new inputs and a new step number each. */
async function runSteps(device: Device, steps: number, how: 'eager' | 'program' | 'debug'): Promise<NumericArray[]> {
  const { x, w, step } = makeStep(device);
  const program = device.program('test step', step);
  const out: NumericArray[] = [];
  device.debug = how === 'debug';
  try {
    for (let i = 0; i < steps; i++) {
      device.write(x, inputOf(i));
      device.setState(state(i));
      device.opCounter = 0;
      const result =
        how === 'eager'
          ? device.scope(() => Object.fromEntries(Object.entries(step()).map(([k, t]) => [k, t.keep()])))
          : program.run();
      for (const t of [result.loss, result.y, w.grad as Tensor]) out.push(await t.data());
    }
  } finally {
    device.debug = false;
    program.dispose();
  }
  return out;
}

describe('programs', () => {
  it('replay what eager execution gives, bit for bit', async () => {
    const eager = await runSteps(gpu, 4, 'eager');
    expect(eager[0][0]).not.toBe(eager[3][0]);
    expect(await runSteps(gpu, 4, 'program')).toEqual(eager);
  });

  it('give the same with their slots poisoned by NaN before each run', async () => {
    expect(await runSteps(gpu, 4, 'debug')).toEqual(await runSteps(gpu, 4, 'program'));
  });

  it.each(backends)('hand on tensors that they did not make, and leave them alive, on %s', async (_, device) => {
    const w = device.tensor([1, 2], [2], { requiresGrad: true });
    const program = device.program('handing step', () => {
      fill(w.grad as Tensor, 0);
      sum(mul(w, w)).backward();
      return { w, gradient: w.grad as Tensor };
    });
    device.debug = true;
    try {
      for (let i = 0; i < 3; i++) expect(Array.from(await program.run().gradient.data())).toEqual([2, 4]);
    } finally {
      device.debug = false;
      program.dispose();
    }
    expect(Array.from(await w.data())).toEqual([1, 2]);
  });

  it('show NaN in debug mode where a step reads what it did not write', async () => {
    const program = gpu.program('careless step', () => {
      const x = gpu.empty([128]);
      fill(gpu.view(x, 0, [64], 'f32', 'first half'), 1);
      return { y: slice(x, 0, 64, 68) };
    });
    gpu.debug = true;
    try {
      program.run();
      const values = (await program.run().y.data()) as Float32Array<ArrayBuffer>;
      expect(new Uint32Array(values.buffer)).toEqual(new Uint32Array(4).fill(0x7fc00000));
    } finally {
      gpu.debug = false;
      program.dispose();
    }
  });

  it('run on the CPU device too, with the same numbers up to rounding', async () => {
    const [a, b] = [await runSteps(cpu, 3, 'program'), await runSteps(gpu, 3, 'program')];
    for (const [i, values] of a.entries())
      expect(firstMismatch(`${i}`, b[i], values, { abs: 1e-6, rel: 1e-5 })).toBeNull();
  });

  it('create nothing from the second step on, and make one submit a step', async () => {
    const { x, step } = makeStep(gpu);
    const program = gpu.program('flat step', step);
    const counts = [];
    for (let i = 0; i < 5; i++) {
      gpu.write(x, inputOf(i));
      gpu.setState(state(i));
      const before = gpu.stats();
      program.run();
      counts.push({ before, after: gpu.stats() });
    }
    await gpu.settle();
    for (const { before, after } of counts.slice(1)) {
      const { dispatches, submits, waits: _, ...flat } = after;
      expect(flat).toEqual({
        backend: 'webgpu',
        buffers: before.buffers,
        bytes: before.bytes,
        peakBytes: before.peakBytes,
        pipelines: before.pipelines,
        bindGroups: before.bindGroups,
      });
      expect(submits - before.submits).toBe(1);
      expect(dispatches - before.dispatches).toBe(program.dispatches);
    }
    expect(counts[4].after.bytes).toBe(counts[1].after.bytes);
    program.dispose();
    expect(gpu.stats().bytes).toBeLessThan(counts[4].after.bytes);
  });

  it('cut a long run into several submits at fixed points, with the same bits', async () => {
    const run = async (maxSubmitMs: number) => {
      const { step } = makeStep(gpu);
      const program = gpu.program('cut step', step, { maxSubmitMs });
      for (let i = 0; i < 4; i++) {
        gpu.setState(state(i));
        program.run();
        await program.pace(); // after two runs the time of one is known
      }
      const before = gpu.stats().submits;
      gpu.setState(state(9));
      const { y } = program.run();
      const submits = gpu.stats().submits - before;
      const values = await y.data();
      program.dispose();
      return { submits, values };
    };
    const whole = await run(1e6);
    const cut = await run(1e-3);
    expect(whole.submits).toBe(1);
    expect(cut.submits).toBeGreaterThan(4);
    expect(cut.values).toEqual(whole.values);
  });

  it('give their values with one wait, and do not count the run that compiles', async () => {
    const x = gpu.tensor([1, 2, 3]);
    const make = () => gpu.program('two outputs', () => ({ y: scale(x, 2), z: scale(x, 3) }));
    const read = make();
    const before = gpu.stats().waits;
    expect(await read.values()).toEqual({ y: Float32Array.of(2, 4, 6), z: Float32Array.of(3, 6, 9) });
    expect(gpu.stats().waits - before).toBe(1);
    expect(read.milliseconds).toBe(0);
    expect((await read.values()).y).toEqual(Float32Array.of(2, 4, 6));
    expect(read.milliseconds).toBeGreaterThan(0);
    const paced = make();
    for (const first of [true, false]) {
      paced.run();
      await paced.pace();
      await paced.settle();
      expect(paced.milliseconds > 0).toBe(!first);
    }
    read.dispose();
    paced.dispose();
  });

  it('share slots between temporaries that never live together', () => {
    const x = gpu.tensor(new Float32Array(16384));
    const program = gpu.program('chain', () => {
      let y = x;
      for (let i = 0; i < 10; i++) y = scale(y, 0.5);
      return { y };
    });
    program.run();
    expect(program.slotBytes).toBe(2 * 65536);
    program.dispose();
  });

  it('say in debug mode that a step varies where it must not', () => {
    const x = gpu.tensor([1, 2, 3]);
    let factor = 2;
    let extra = false;
    const program = gpu.program('varying step', () => ({ y: extra ? scale(scale(x, factor), 1) : scale(x, factor) }));
    gpu.debug = true;
    try {
      program.run();
      expect(() => program.run()).not.toThrow();
      factor = 3;
      expect(() => program.run()).toThrow(
        /^varying step: the step is not the same as when it was recorded; dispatch 0 was scale/,
      );
      factor = 2;
      extra = true;
      expect(() => program.run()).toThrow('must live in buffers');
    } finally {
      gpu.debug = false;
      program.dispose();
    }
  });
});

describe('limits and failures', () => {
  it('name a binding that is larger than the adapter binds', () => {
    const { caps } = gpu;
    const huge = gpu.empty([(caps?.maxBindingBytes ?? 0) / 4 + 64], 'f32', 'huge table');
    // Where a binding may be as large as a buffer, the buffer is what is refused.
    const same = caps?.maxBindingBytes === caps?.maxBufferBytes;
    expect(() => scale(huge, 2)).toThrow(
      same
        ? /^huge table: expected at most [\d.]+ MiB, the adapter's largest buffer, got [\d.]+ MiB$/
        : /^scale: the binding x \(huge table\) needs [\d.]+ MiB, the adapter binds at most [\d.]+ MiB$/,
    );
    expect(() => gpu.check()).not.toThrow();
  });

  it('name a tensor that is larger than the largest buffer', async () => {
    const { caps } = gpu;
    const huge = gpu.empty([Math.ceil((caps?.maxBufferBytes ?? 0) / 4) + 64], 'f32', 'huge buffer');
    await expect(huge.data()).rejects.toThrow(
      /^huge buffer: expected at most [\d.]+ MiB, the adapter's largest buffer, got [\d.]+ MiB$/,
    );
    expect(() => gpu.check()).not.toThrow();
  });

  it('a lost device fails every later step and read with one clear error', async () => {
    const device = await Device.open({ backend: 'webgpu' });
    const { x, step } = makeStep(device);
    const program = device.program('lost step', step);
    device.setState(state(0));
    const { loss } = program.run();
    await loss.data();
    device.gpu?.gpu.destroy();
    await expect(
      (async () => {
        program.run();
        await loss.data();
      })(),
    ).rejects.toThrow(/^device: the GPU device was lost \(destroyed\)/);
    const message = /device: the GPU device was lost \(destroyed\).* · last dispatch: \w+/;
    expect(() => program.run()).toThrow(message);
    expect(() => scale(x, 2)).toThrow(message);
    await expect(x.data()).rejects.toThrow(message);
    expect(() => device.check()).toThrow(message);
  });
});
