/** PyTorch's numbers (test/golden/make.py), and how ours are held against them. */
import { expect } from 'vitest';
import { type Device, groupRows, type NumericArray, type Shape, type Tensor } from '../../../engine/index.ts';
import type { SequenceModel } from '../../../model/encoders/sequence-model.ts';
import type { Feed } from '../../../train/loop/feed.ts';
import { firstMismatch } from '../harness.ts';

export type Tolerance = Parameters<typeof firstMismatch>[3];

export function expectNear(what: string, actual: NumericArray, expected: NumericArray, tolerance: Tolerance): void {
  expect(firstMismatch(what, actual, expected, tolerance)).toBeNull();
}

/** The tensors of a golden file, by name. */
export class Golden {
  readonly #tensors: Record<string, { shape: number[]; data: number[] }>;

  constructor(file: { tensors: object }) {
    this.#tensors = file.tensors as Record<string, { shape: number[]; data: number[] }>;
  }

  shape(name: string): Shape {
    return this.#tensors[name].shape;
  }

  f32(name: string): Float32Array<ArrayBuffer> {
    return Float32Array.from(this.#tensors[name].data);
  }

  u32(name: string): Uint32Array<ArrayBuffer> {
    return Uint32Array.from(this.#tensors[name].data);
  }

  tensor(device: Device, name: string, requiresGrad = false): Tensor {
    return device.tensor(this.f32(name), this.shape(name), { label: name, requiresGrad });
  }

  ids(device: Device, name: string): Tensor {
    return device.tensor(this.u32(name), this.shape(name), { label: name });
  }

  /** Row groups of the first `used` ids. */
  groups(device: Device, name: string, used?: number): Tensor {
    const ids = this.u32(name);
    return device.tensor(groupRows(ids, used ?? ids.length, ids.length).data);
  }

  /** A dense matrix as its nonzero entries, row by row. */
  sparse(name: string) {
    const [count, width] = this.shape(name);
    const entries = [...this.f32(name)].flatMap((value, at) => (value === 0 ? [] : [{ at, value }]));
    return {
      starts: Uint32Array.from({ length: count + 1 }, (_, u) => entries.filter(({ at }) => at < u * width).length),
      columns: Uint32Array.from(entries, ({ at }) => at % width),
      values: Float32Array.from(entries, ({ value }) => value),
    };
  }

  /** Values by name, of tensors called `prefix` and the name. */
  values(names: readonly string[], prefix: string): Map<string, NumericArray> {
    return new Map(names.map((name) => [name, this.f32(`${prefix}${name}`)]));
  }

  /** The tensors of a batch, as they are fed. */
  batch(prefix: string) {
    const u32 = (name: string) => this.u32(`${prefix}${name}`);
    return {
      items: u32('items'),
      positions: u32('positions'),
      targets: u32('targets'),
      start: u32('start'),
      end: u32('end'),
      weights: this.f32(`${prefix}weights`),
    };
  }

  async expectGradient(name: string, of: Tensor, tolerance: Tolerance): Promise<void> {
    expectNear(name, await (of.grad as Tensor).data(), this.f32(name), tolerance);
  }

  /** States, loss, and every gradient of a model on the batch that was staged. */
  async expectModel(
    model: SequenceModel,
    feed: Feed,
    encode: () => Tensor,
    prefix: string,
    tolerance: Tolerance,
  ): Promise<void> {
    const { device, parameters } = model;
    feed.upload();
    const { states, loss } = device.scope(() => {
      const states = device.noGrad(encode).keep();
      const loss = model.loss(feed.tensors).keep();
      loss.backward();
      return { states, loss };
    });
    const hidden = this.f32(`${prefix}hidden`);
    expectNear('hidden', (await states.data()).subarray(0, hidden.length), hidden, tolerance);
    expect(await loss.item()).toBeCloseTo(this.f32(`${prefix}loss`)[0], 5);
    for (const name of parameters.names)
      await this.expectGradient(`${prefix}gradients.${name}`, parameters.get(name), tolerance);
    for (const t of [states, loss]) t.dispose();
  }
}
