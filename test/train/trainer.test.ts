import { describe, expect, it } from 'vitest';
import { Device } from '../../engine/index.ts';
import type { MemoryFiles } from '../../model/storage/files.ts';
import { loadCheckpoint } from '../../model/storage/checkpoint.ts';
import { readMetrics } from '../../model/storage/folder.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { DeviceTransitions } from '../../model/transitions/transitions.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { train } from '../../train/loop/trainer.ts';
import { learnTransitions } from '../../train/transitions/learn.ts';
import { expectSameCheckpoint, expectSameInDebugMode, folderOf, ring, run, small, stopWhen } from './small.ts';
import { openDevice } from '../device.ts';

for (const backend of ['cpu', 'wasm', 'webgpu'] as const) {
  describe(`training on ${backend}`, async () => {
    const device = await openDevice({ backend });
    const split = ring();

    it('learns the ring, saves the best weights, and recommends the next item', async () => {
      const { files, result } = await run(device, split, small(), { epochs: 12 });
      expect(result.reason).toBe('epochs');
      expect(result.bestNdcg).toBeGreaterThan(0.95);
      expect((result.losses.at(-1)?.loss as number) < (result.losses[0].loss as number) / 2).toBe(true);
      const { weights } = await loadModel(files);
      expect(weights.from).toBe('model');
      expect(weights.metrics?.['NDCG@10']).toBe(result.bestNdcg);
      const lines = await readMetrics(files);
      expect(lines.length).toBe(result.validations.length);
      const recommender = await Recommender.load(files, { device });
      const { items, unknown } = await recommender.recommend({ history: ['i3', 'nope', 'i4', 'i5'], k: 3 });
      expect(items[0]).toMatchObject({ id: 'i6', title: 'Item i6' });
      expect(unknown).toEqual(['nope']);
      await expect(recommender.recommend({ history: ['x', '__proto__'] })).rejects.toThrow(/none of the 2 items/);
      recommender.close();
    });

    it('goes on after an interruption bit for bit', async () => {
      const whole = await run(device, split, small(), { epochs: 3 });
      const first = await run(device, split, small(), { epochs: 3, ...stopWhen((p) => p.step === 6) });
      expect(first.result).toMatchObject({ reason: 'interrupted', step: 7 });
      const second = await train({ ...first.options, signal: undefined, onProgress: undefined, resume: true });
      expect(second).toMatchObject({ reason: 'epochs', step: whole.result.step, bestNdcg: whole.result.bestNdcg });
      await expectSameCheckpoint(whole.files, first.files);
      expect(whole.result.losses.slice(7)).toEqual(second.losses);
      const meanLoss = async (files: MemoryFiles) => (await readMetrics(files)).map((line) => line.loss);
      expect(await meanLoss(first.files)).toEqual(await meanLoss(whole.files));
      const again = await train({ ...first.options, signal: undefined, onProgress: undefined, resume: true });
      expect(again.reason).toBe('finished before');
    });

    it('gives the same bits for the same seed, others for another', async () => {
      const [a, b, c] = [
        await run(device, split, small(), { epochs: 1 }),
        await run(device, split, small(), { epochs: 1 }),
        await run(device, split, small(), { epochs: 1, seed: 2 }),
      ];
      expect(a.result.losses).toEqual(b.result.losses);
      expect(a.result.losses).not.toEqual(c.result.losses);
    });

    it('stops early when validation no longer improves', async () => {
      const { result } = await run(device, split, small({ validateSteps: '2', patience: '2', learningRate: '1e-9' }), {
        epochs: 50,
      });
      expect(result.reason).toBe('early-stopping');
    });

    it('stops sooner, and says why, where item transitions alone are as good', async () => {
      const learned = await learnTransitions(device, split);
      const settings = small({ validateSteps: '2', patience: '4', learningRate: '1e-9' });
      const stopWith = async (values: Float32Array) => {
        const transitions = new DeviceTransitions(device, { ...learned, rows: { ...learned.rows, values } });
        const lines: string[] = [];
        const log = (line: string) => lines.push(line);
        const { result, options } = await run(device, split, settings, { epochs: 50, transitions, log });
        expect(result.reason).toBe('early-stopping');
        const again = await train({ ...options, log: undefined, resume: true, epochs: 60 });
        transitions.dispose();
        return { lines, result, again };
      };
      // The ring is all that there is to know, and the transitions know it.
      const good = await stopWith(learned.rows.values);
      expect(good.result.validations).toHaveLength(3);
      expect(good.lines).toEqual([expect.stringMatching(/^stopped early: item transitions alone rank as well/)]);
      expect(good.again).toMatchObject({ reason: 'early-stopping', step: good.result.step });
      // Without any the encoder leads, even untrained; its metrics are those of the encoder alone.
      const none = await stopWith(learned.rows.values.map(() => 0));
      expect(none.result.validations).toHaveLength(5);
      expect(none.lines).toEqual([]);
      expect(none.result.validations.slice(0, 3)).toEqual(good.result.validations);
    });

    it('names step and tensor when a loss is not finite, and keeps the weights sound', async () => {
      const files = await folderOf(split, small());
      const settings = small({ learningRate: '1e30' });
      const attempt = train({ device, files, split, settings, seed: 1, epochs: 3 });
      await expect(attempt).rejects.toThrow(
        /step \d+ is not finite; the first such tensor is .+; try a lower learning rate|step \d+ is not finite; the first such tensor is [^;]+/s,
      );
      const saved = await loadCheckpoint(files);
      for (const t of saved?.params.values() ?? []) expect(Array.from(t.data).every(Number.isFinite)).toBe(true);
    });
  });
}

describe('the recorded step', async () => {
  const device = await openDevice({ backend: 'webgpu' });

  it('makes no buffer, bind group or pipeline from step 2 on, and one submit a step', async () => {
    const seen: ReturnType<Device['stats']>[] = [];
    await run(device, ring(), small({ validateSteps: '1000' }), {
      epochs: 2,
      onProgress: (p) => p.phase === 'training' && p.step > 1 && p.step < 8 && seen.push(device.stats()),
    });
    expect(seen.length).toBe(6);
    for (let i = 1; i < seen.length; i++) {
      for (const what of ['buffers', 'bytes', 'pipelines', 'bindGroups'] as const)
        expect(seen[i][what], what).toBe(seen[0][what]);
      expect(seen[i].submits - seen[i - 1].submits).toBe(1);
    }
  });

  it('is the same in debug mode', async () => {
    await expectSameInDebugMode(device, async () => (await run(device, ring(), small(), { epochs: 1 })).result.losses);
  });

  it('ends with one clear error when the device is lost between two steps', async () => {
    const device = await Device.open({ backend: 'webgpu' });
    const attempt = run(device, ring(), small(), {
      epochs: 5,
      onProgress: (p) => p.step === 5 && device.gpu?.gpu.destroy(),
    });
    await expect(attempt).rejects.toThrow(/device: the GPU device was lost/);
  });
});

describe('training in mixed precision', async () => {
  const device = await openDevice({ backend: 'webgpu' });

  it('is refused in one line by a device without f16', async () => {
    const cpu = await Device.open({ backend: 'cpu' });
    const refused = run(cpu, ring(), small({ precision: 'mixed' }), { epochs: 1 });
    await expect(refused).rejects.toThrow(
      /^`settings.precision: mixed`: the CPU device computes in f32 alone; leave it out \(precision=f32\)$/,
    );
    expect(() => cpu.withPrecision('mixed', () => {})).toThrow('precision mixed: the CPU device');
    expect(() => cpu.withPrecision('f32', () => {}, 3)).toThrow('expected a power of two as gradientScale, got 3');
  });

  it('learns as f32 does, with kernels of its own that a checkpoint keeps', async ({ skip }) => {
    if (!device.caps?.f16) return skip('the adapter has no shader-f16');
    const losses: number[][] = [];
    for (const precision of ['f32', 'mixed']) {
      device.gpu?.variants.used.clear();
      const { files, result } = await run(device, ring(), small({ precision, dropout: '0' }), { epochs: 2 });
      losses.push(result.losses.map((l) => l.loss));
      const counters = (await loadCheckpoint(files))?.counters;
      expect(Object.keys(counters?.variants ?? {}).includes('matmul_mixed')).toBe(precision === 'mixed');
    }
    const [exact, mixed] = losses;
    expect(mixed).not.toEqual(exact);
    expect(mixed.length).toBe(exact.length);
    mixed.forEach((loss, i) => expect(Math.abs(loss - exact[i])).toBeLessThan(0.05));
  }); // compiles a dozen kernels that software adapters take seconds each for
});
