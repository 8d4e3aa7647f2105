/**
 * Where a model's attention looked in one history: each block's and head's map, and their roll-out.
 *
 *   A_b = mean over heads of block b's attention          Ã_b = ½ A_b + ½ I
 *   rollout = Ã_B · … · Ã_1                               (Abnar & Zuidema, ACL 2020, §3: attention rollout)
 *
 * A row of the roll-out says which events a token's last state is mixed from, if attention moved nothing but shares and
 * each residual connection kept half. Pointwise attention (HSTU) has no shares: the absolute values of its weights,
 * normalised to one in each row, stand in for them.
 */
import { InputError } from '../../data/errors.ts';
import { AttentionWeights, Inputs, type Program, type Tensor } from '../../engine/index.ts';
import { clearTokens, entriesOf, type History, lengthOf, packedTokens, packHistory, tokenSpec } from './packing.ts';
import { requireFinite } from './ranks.ts';
import { readsTimes } from '../recipes/recipes.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';

/** Tokens up to which rows of maps are remembered once they were worked out. */
const REMEMBERED = 2048;

export class AttentionMaps {
  readonly blocks: number;
  readonly heads: number;
  /** Events of the history that the model read, its last ones. */
  readonly events: number;
  /** Tokens: the events, and after them the mask of the event to come where the model fills in masks. */
  readonly tokens: number;
  /** The weights are no shares (HSTU). */
  readonly pointwise: boolean;
  private readonly weights: readonly AttentionWeights[];
  private readonly means: (Float64Array | undefined)[][];

  constructor(weights: readonly AttentionWeights[], heads: number, tokens: number, events: number, pointwise: boolean) {
    this.weights = weights;
    this.blocks = weights.length;
    this.heads = heads;
    this.tokens = tokens;
    this.events = events;
    this.pointwise = pointwise;
    this.means = weights.map(() => []);
  }

  /** Weights that token i has for each token in a head of a block, all from 0: [tokens]. */
  row(block: number, head: number, i: number): Float64Array {
    return requireFinite(this.weights[block].row(head, i), 'attention weights');
  }

  /** The same as shares of one, averaged over heads. */
  mean(block: number, i: number): Float64Array {
    const known = this.means[block][i];
    if (known) return known;
    const out = new Float64Array(this.tokens);
    for (let h = 0; h < this.heads; h++) {
      const row = this.row(block, h, i);
      const total = row.reduce((sum, w) => sum + Math.abs(w), 0);
      // A head that takes nothing leaves the token as it was.
      if (total === 0) out[i] += 1 / this.heads;
      else row.forEach((w, j) => (out[j] += Math.abs(w) / total / this.heads));
    }
    if (this.tokens <= REMEMBERED) this.means[block][i] = out;
    return out;
  }

  /** Row i of the roll-out, [tokens], adding up to 1; by default the row that recommendations are made from. */
  rollout(i = this.tokens - 1): Float64Array {
    let mix = new Float64Array(this.tokens);
    mix[i] = 1;
    for (let block = this.blocks - 1; block >= 0; block--) {
      const next = mix.map((share) => share / 2);
      mix.forEach((share, t) => {
        if (share === 0) return;
        this.mean(block, t).forEach((w, j) => (next[j] += (share / 2) * w));
      });
      mix = next;
    }
    return mix;
  }

  /** The roll-out of what is recommended as shares of the events, [events]: a mask's own share is left out. */
  shares(): Float64Array {
    const all = this.rollout().subarray(0, this.events);
    const total = all.reduce((sum, w) => sum + w, 0);
    return all.map((w) => (total > 0 ? w / total : 1 / this.events));
  }
}

interface Recorded {
  inputs: Inputs<ReturnType<typeof tokenSpec>>;
  program: Program<Record<string, Tensor>>;
}

/** Runs the encoder on one history and reads back what its attention read. */
export class AttentionProbe {
  private readonly model: SequenceModel;
  private readonly recorded = new Map<string, Recorded>();
  /** Tables of the bias of attention, by block; they are read once. */
  private biases: (Float32Array | null)[] | null = null;

  constructor(model: SequenceModel) {
    this.model = model;
  }

  /** @throws InputError for a model with a decoder */
  async maps(history: History): Promise<AttentionMaps> {
    const { model } = this;
    const { settings, cloze } = model;
    const { d, heads, bias, direction, window, decoder } = settings;
    if (decoder > 0)
      throw new InputError('unsupported', 'attention roll-out does not follow the cross-attention of a decoder', {
        hint: 'explain by occlusion instead',
      });
    const tokens = lengthOf(model, history.history);
    const { inputs, program } = this.record(
      Math.max(64, 2 ** Math.ceil(Math.log2(tokens))),
      entriesOf(model, [history]),
    );
    clearTokens(inputs.host, packHistory(model, history, inputs.host, 0));
    inputs.upload();
    const out = await program.values();
    this.biases ??= await this.readBiases();
    const pointwise = settings.block === 'hstu';
    const host = inputs.host as { positions: Uint32Array; times?: Uint32Array };
    const times = readsTimes(settings) ? (host.times ?? host.positions).slice() : null;
    const weights: AttentionWeights[] = [];
    for (let i = 0; i < settings.blocks; i++) {
      const qkv = out[`qkv ${i}`] as Float32Array;
      requireFinite(qkv.subarray(0, 3 * d * tokens), 'attention weights');
      weights.push(
        new AttentionWeights(qkv, d, tokens, {
          heads,
          times,
          bias: this.biases[i],
          causal: direction === 'causal',
          position: bias === 'relative' || bias === 'both',
          pointwise: pointwise ? window : undefined,
        }),
      );
    }
    return new AttentionMaps(weights, heads, tokens, cloze ? tokens - 1 : tokens, pointwise);
  }

  private async readBiases(): Promise<(Float32Array | null)[]> {
    const { parameters, settings } = this.model;
    const read: (Float32Array | null)[] = [];
    for (let i = 0; i < settings.blocks; i++) {
      const none = settings.bias === 'none';
      read.push(none ? null : ((await parameters.get(`blocks.${i}.attention.bias`).data()) as Float32Array));
    }
    return read;
  }

  private record(budget: number, entries: number): Recorded {
    const key = `${budget} ${entries}`;
    let found = this.recorded.get(key);
    if (!found) {
      const { model } = this;
      const { device } = model;
      const inputs = new Inputs(device, tokenSpec(budget, model, entries), 'tokens to look at');
      const program = device.program(`attention of ${budget} tokens`, () =>
        device.noGrad(() => {
          const seen: Record<string, Tensor> = {};
          model.encode(packedTokens(model, inputs.tensors), undefined, (block, qkv) => {
            seen[`qkv ${block}`] = qkv;
          });
          return seen;
        }),
      );
      found = { inputs, program };
      this.recorded.set(key, found);
    }
    return found;
  }

  dispose(): void {
    for (const { inputs, program } of this.recorded.values()) {
      program.dispose();
      inputs.dispose();
    }
    this.recorded.clear();
  }
}
