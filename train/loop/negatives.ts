/** Negatives for the sampled losses: drawn by the host while the device works, all from (seed, epoch, batch). */
import type { Batch } from '../../data/batching/batch.ts';
import { InputError } from '../../data/errors.ts';
import { seeded } from '../../data/random.ts';
import { type Device, groupRows, Inputs, rowGroupLayout, threefry2x32 } from '../../engine/index.ts';
import { HEADS } from '../../model/heads/index.ts';
import { LOSSES } from '../../model/heads/losses/index.ts';
import type { NegativeTokens } from '../../model/heads/losses/loss.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import type { TouchedRows } from './touched-rows.ts';

/** The position of a batch in a training. */
export interface At {
  seed: number;
  epoch: number;
  /** From 0, within the epoch. */
  batch: number;
}

/** Keeps these draws apart from others of the same seed. */
const STREAM = 0x6e656700;

/** Draws item rows, with replacement, and says how likely each is. */
export interface Sampler {
  /** Fills `out`; item v comes with probability q(v), `in-batch` by its share of the batch's targets. */
  draw(out: Uint32Array, batch: Batch, at: At): void;
  /** Probability of item v over the whole training; 0 for items that are never drawn. */
  q(v: number): number;
}

/** @param counts [V] how often each item occurs in training */
export function makeSampler(kind: Settings['sampler'], counts: Uint32Array): Sampler {
  const random = ({ seed, epoch, batch }: At) => {
    const [key, stream] = threefry2x32(seed, STREAM, epoch, batch);
    return seeded(key, stream);
  };
  if (kind === 'uniform') {
    return {
      draw(out, _batch, at) {
        const { below } = random(at);
        for (let i = 0; i < out.length; i++) out[i] = below(counts.length);
      },
      q: () => 1 / counts.length,
    };
  }
  let total = 0;
  const ends = Float64Array.from(counts, (count) => (total += count));
  const q = (v: number): number => counts[v] / Math.max(1, total);
  if (kind === 'in-batch') {
    return {
      draw(out, { targets, tokens }, at) {
        const { below } = random(at);
        for (let i = 0; i < out.length; i++) out[i] = targets[below(tokens)];
      },
      q,
    };
  }
  return {
    draw(out, _batch, at) {
      const { below } = random(at);
      for (let i = 0; i < out.length; i++) out[i] = firstAbove(ends, below(total));
    },
    q,
  };
}

/** The first index whose value is above x; values do not fall. */
function firstAbove(values: Float64Array, x: number): number {
  let low = 0;
  for (let high = values.length - 1; low < high; ) {
    const middle = (low + high) >>> 1;
    if (values[middle] > x) high = middle;
    else low = middle + 1;
  }
  return low;
}

function inputSpec(lists: number, n: number, budget: number) {
  const u32 = (...shape: number[]) => ({ shape, dtype: 'u32' as const });
  return {
    ids: u32(lists, n),
    groups: u32(rowGroupLayout(lists * n).words),
    targetGroups: u32(rowGroupLayout(budget).words),
    logq: { shape: [lists, n], dtype: 'f32' as const },
  };
}

/** The negatives of a batch, on the host and on the device; capacities follow from the settings alone. */
export class Negatives {
  readonly tensors: NegativeTokens;
  private readonly inputs: Inputs<ReturnType<typeof inputSpec>>;
  private readonly sampler: Sampler;
  /** [V] log(N · q), or null where the loss does not correct for it. */
  private readonly logq: Float32Array | null;
  private readonly budget: number;
  private readonly lists: number;
  private readonly n: number;

  /** @throws InputError where a batch's negatives or their scores are more than one binding of the adapter holds */
  constructor(device: Device, s: Settings, counts: Uint32Array) {
    this.budget = s.budget;
    this.n = s.negatives;
    this.lists = s.budget / (s.negativeGroup || s.budget);
    for (const [what, count] of [
      ['their embeddings', this.lists * this.n * s.d],
      ['their scores', s.budget * this.n],
      ...(HEADS[s.head].sizes?.(s, s.budget, this.lists) ?? []),
    ] as const) {
      if (count * 4 <= device.maxBindingBytes) continue;
      const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
      throw new InputError(
        'too-large',
        `${what} need ${mib(count * 4)} a batch, this adapter binds at most ${mib(device.maxBindingBytes)}`,
        {
          setting: 'settings.negatives',
          value: this.n,
          hint: 'choose fewer, a larger negativeGroup, or a smaller budget',
        },
      );
    }
    this.sampler = makeSampler(s.sampler, counts);
    const corrected = LOSSES[s.loss].corrects?.(s) ?? false;
    // An item that is never drawn is never looked up.
    this.logq = corrected ? Float32Array.from(counts, (_, v) => Math.log(this.n * (this.sampler.q(v) || 1))) : null;
    this.inputs = new Inputs(device, inputSpec(this.lists, this.n, s.budget), 'negatives');
    this.tensors = { ...this.inputs.tensors, logq: corrected ? this.inputs.tensors.logq : null };
  }

  /**
   * Draws the lists of a batch into the host's mirror. Lists of groups without a token stay 0 and get no gradient.
   * @param targets those of the batch as the device has them @param touched numbers the rows that a step reads
   */
  stage(batch: Batch, at: At, targets = batch.targets, touched: TouchedRows | null = null): void {
    const { ids, groups, targetGroups, logq } = this.inputs.host;
    const used = Math.ceil((batch.tokens * this.lists) / this.budget) * this.n;
    this.sampler.draw(ids.subarray(0, used), batch, at);
    ids.fill(0, used);
    if (this.logq) for (let i = 0; i < ids.length; i++) logq[i] = this.logq[ids[i]];
    touched?.renumber(ids, used);
    groupRows(ids, used, this.lists * this.n, groups);
    groupRows(targets, batch.tokens, this.budget, targetGroups);
  }

  upload(): void {
    this.inputs.upload();
  }

  dispose(): void {
    this.inputs.dispose();
  }
}
