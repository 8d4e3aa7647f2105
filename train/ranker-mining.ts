/**
 * What the first stage ranks best after positions of a training batch, as it does when it recommends: the transformer, blended
 * with the memory where there is one. Hard negatives are drawn from that.
 */
import type { Batch } from '../data/batches.ts';
import { type Device, gather, Inputs, logBlend, type Program, rowMoments, type Tensor, topk } from '../engine/index.ts';
import type { PackedTokens } from '../model/blocks/context.ts';
import type { ScorerOptions } from '../model/scorer.ts';
import type { SequenceModel } from '../model/sequence-model.ts';

/** What is ranked best and negatives are drawn from, seen items still among it. */
const MINED = 128;

export interface Mined {
  /** The encoder's states [L, D]. */
  states: Tensor;
  /** [n, k] the items that are ranked best after the positions that were looked at, best first. */
  best: Tensor;
}

function inputSpec(positions: number, last: number) {
  const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
  return {
    /** Rows of the positions that are looked at. */
    chosen: u32(positions),
    recentOffsets: u32(positions + 1),
    recentItems: u32(positions * last),
    recentWeights: { shape: [positions * last], dtype: 'f32' as const },
  };
}

export class Miner {
  private readonly inputs: Inputs<ReturnType<typeof inputSpec>>;
  private readonly blend: ScorerOptions['blend'];
  private readonly weights: Tensor | null;
  private readonly program: Program<{ [K in keyof Mined]: Tensor }>;

  /** @param tokens that the encoder reads @param positions that are looked at, at most */
  constructor(model: SequenceModel, blend: ScorerOptions['blend'], tokens: PackedTokens, positions: number) {
    const { device }: { device: Device } = model;
    this.blend = blend;
    this.inputs = new Inputs(device, inputSpec(positions, blend?.memory.settings.last ?? 0), 'positions');
    this.weights = blend
      ? device.tensor([blend.weights.memory, blend.weights.epsilon], [2], { label: 'blend weights' }).keep()
      : null;
    this.program = device.program('mine negatives', () =>
      device.noGrad(() => {
        const states = model.encode(tokens);
        const scores = model.scores(gather(states, this.inputs.tensors.chosen));
        const { recentOffsets: offsets, recentItems: items, recentWeights: weights } = this.inputs.tensors;
        if (blend && this.weights) {
          const more = blend.memory.scores({ offsets, items, weights }, 0, model.items);
          logBlend(scores, more, rowMoments(scores), this.weights);
        }
        return { states, best: topk(scores, Math.min(MINED, model.items)).indices };
      }),
    );
  }

  get milliseconds(): number {
    return this.program.milliseconds;
  }

  /** @param chosen rows of the positions that are looked at */
  async mine({ items, start }: Batch, chosen: Uint32Array): Promise<Mined> {
    const { host } = this.inputs;
    const memory = this.blend?.memory;
    host.chosen.fill(0);
    host.chosen.set(chosen);
    let at = 0;
    chosen.forEach((t, p) => {
      host.recentOffsets[p] = at;
      if (memory) at = memory.listOf(items.subarray(start[t], t + 1), at, host.recentItems, host.recentWeights);
    });
    host.recentOffsets.fill(at, chosen.length);
    this.inputs.upload();
    const mined = this.program.run();
    await this.program.settle();
    return mined;
  }

  dispose(): void {
    this.program.dispose();
    this.inputs.dispose();
    this.weights?.dispose();
  }
}
