import { describe, expect, it } from 'vitest';
import { type Augmentation, augmentWindow } from '../../data/batching/augment.ts';
import { batches, planEpoch } from '../../data/batching/batches.ts';
import { atOnce } from '../../data/pieces.ts';
import { splitDataset } from '../../data/splits/split.ts';
import { datasetOf } from './bytes.ts';

const none: Augmentation = { crop: 0, mask: 0, reorder: 0, cropRatio: 0.6, maskRatio: 0.3, reorderRatio: 0.5 };
const numbers = (n: number, from = 0) => Array.from({ length: n }, (_, i) => from + i);
const rises = (a: ArrayLike<number>) => Array.from(a).every((x, i) => i === 0 || x > a[i - 1]);

describe('augmentation', () => {
  it('leaves a window alone unless it is asked for', () => {
    expect(Array.from(augmentWindow(none, 9, 1, 2, 3))).toEqual(numbers(9));
  });

  it('crops a run of the right length, at many positions', () => {
    const starts = new Set<number>();
    for (let w = 0; w < 60; w++) {
      const kept = augmentWindow({ ...none, crop: 1 }, 20, 1, 0, w);
      expect(kept.length).toBe(12);
      expect(Array.from(kept)).toEqual(numbers(12, kept[0]));
      starts.add(kept[0]);
    }
    expect(starts.size).toBeGreaterThan(5);
    expect(augmentWindow({ ...none, crop: 1, cropRatio: 0.01 }, 5, 1, 0, 0).length).toBe(2);
  });

  it('drops items as often as the ratio states, and keeps their order and two of them', () => {
    let kept = 0;
    for (let w = 0; w < 100; w++) {
      const positions = augmentWindow({ ...none, mask: 1 }, 50, 1, 0, w);
      expect(rises(positions)).toBe(true);
      kept += positions.length;
    }
    expect(Math.abs(kept / 5000 - 0.7)).toBeLessThan(0.03);
    for (let w = 0; w < 20; w++)
      expect(augmentWindow({ ...none, mask: 1, maskRatio: 0.99 }, 6, 1, 0, w).length).toBe(2);
  });

  it('reorders one run and nothing else', () => {
    for (let w = 0; w < 40; w++) {
      const positions = Array.from(augmentWindow({ ...none, reorder: 1 }, 20, 1, 0, w));
      expect([...positions].sort((a, b) => a - b)).toEqual(numbers(20));
      const moved = positions.flatMap((position, i) => (position === i ? [] : [i]));
      expect(moved.at(-1) ?? 0).toBeLessThan((moved[0] ?? 0) + 10);
    }
  });

  it('comes with its probability, and follows from (seed, epoch, window)', () => {
    const some = { ...none, crop: 0.25 };
    const cut = numbers(2000).filter((w) => augmentWindow(some, 20, 1, 0, w).length < 20).length;
    expect(Math.abs(cut / 2000 - 0.25)).toBeLessThan(0.04);
    const all = { ...none, crop: 0.5, mask: 0.5, reorder: 0.5 };
    const of = (seed: number, epoch: number) => numbers(20).map((w) => augmentWindow(all, 30, seed, epoch, w));
    expect(of(1, 2)).toEqual(of(1, 2));
    expect(of(2, 2)).not.toEqual(of(1, 2));
    expect(of(1, 3)).not.toEqual(of(1, 2));
  });
});

describe('augmented batches', () => {
  const histories = numbers(40).map((u) => numbers(5 + ((u * 7) % 40), u * 100));
  const split = splitDataset(datasetOf(histories));
  const options = { maxTokens: 64, window: 10, seed: 1, epoch: 0, augment: { ...none, crop: 0.5, mask: 0.5 } };

  it('pack what is left, targets after inputs, and resume in mid-epoch', () => {
    const all = [...batches(split, options)];
    expect(atOnce(planEpoch(split, options)).count).toBe(all.length);
    let gaps = 0;
    for (const batch of all) {
      for (let i = 0; i < batch.tokens; i++) {
        expect(batch.targets[i]).toBeGreaterThan(batch.items[i]);
        if (batch.targets[i] !== batch.items[i] + 1) gaps++;
        if (i + 1 < batch.end[i]) expect(batch.items[i + 1]).toBe(batch.targets[i]);
      }
      expect(batch.end[batch.tokens - 1]).toBe(batch.tokens);
      expect(batch.tokens).toBeLessThanOrEqual(64);
    }
    expect(gaps).toBeGreaterThan(20);
    const tokens = (of: typeof all) => of.reduce((sum, b) => sum + b.tokens, 0);
    const plain = [...batches(split, { ...options, augment: undefined })];
    expect(tokens(all)).toBeLessThan(tokens(plain));
    expect([...batches(split, { ...options, augment: none })]).toEqual(plain);
    expect([...atOnce(planEpoch(split, options)).batches(3)]).toEqual(all.slice(3));
    expect([...batches(split, { ...options, epoch: 1 })]).not.toEqual(all);
  });
});
