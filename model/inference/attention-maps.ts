/**
 * Where a model's attention looked in one history: each block's and head's map, and their roll-out.
 *
 *   A_b = mean over heads of block b's attention          Ã_b = ½ A_b + ½ I
 *   rollout = Ã_B · … · Ã_1                               (Abnar & Zuidema, ACL 2020, §3: attention rollout)
 *
 * A row of the roll-out says which events a token's last state is a mixture of, if attention only moved shares and each
 * residual connection kept half. Pointwise attention (HSTU) has no shares; the absolute values of its weights, normalized
 * to a sum of one in each row, are used instead.
 */
import { InputError } from '../../data/errors.ts';
import { AttentionWeights, Inputs, type Program, type Tensor } from '../../engine/index.ts';
import { Batcher } from './batcher.ts';
import { entriesOf, lengthOf, packedTokens, packHistories, tokenSpec } from './packing.ts';
import type { History } from './query.ts';
import { requireFinite } from './ranks.ts';
import { BLOCKS } from '../encoders/blocks/index.ts';
import { readsTimes } from '../recipes/derived.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';

/** Tokens up to which rows of maps are cached. */
const CACHED_TOKENS = 2048;

export class AttentionMaps {
  readonly blocks: number;
  readonly heads: number;
  /** Events that the model read, the last of the history. */
  readonly events: number;
  /** The events, and the mask of the event to come where the model fills in masks. */
  readonly tokens: number;
  /** The weights are not shares (HSTU). */
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

  /** Attention weights of token i for each token in one head of a block, [tokens]; all indices start at 0. */
  row(block: number, head: number, i: number): Float64Array {
    return requireFinite(this.weights[block].row(head, i), 'attention weights');
  }

  /** The same as shares that sum to one, averaged over heads. */
  mean(block: number, i: number): Float64Array {
    const cached = this.means[block][i];
    if (cached) return cached;
    const out = new Float64Array(this.tokens);
    for (let h = 0; h < this.heads; h++) {
      const row = this.row(block, h, i);
      const total = row.reduce((sum, w) => sum + Math.abs(w), 0);
      // A head without weights leaves the token as it was.
      if (total === 0) out[i] += 1 / this.heads;
      else row.forEach((w, j) => (out[j] += Math.abs(w) / total / this.heads));
    }
    if (this.tokens <= CACHED_TOKENS) this.means[block][i] = out;
    return out;
  }

  /** Row i of the roll-out, [tokens], summing to 1; by default the row that recommendations are made from. */
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

  /** The roll-out as shares of the events, [events], without the share of the mask. */
  shares(): Float64Array {
    const all = this.rollout().subarray(0, this.events);
    const total = all.reduce((sum, w) => sum + w, 0);
    return all.map((w) => (total > 0 ? w / total : 1 / this.events));
  }
}

/** Runs the encoder on one history and reads back what its attention read. */
export class AttentionProbe {
  private readonly model: SequenceModel;
  private readonly batcher: Batcher<History, Size, Batch>;
  /** The attention bias of each block; read once. */
  private biases: (Float32Array | null)[] | null = null;

  constructor(model: SequenceModel) {
    this.model = model;
    this.batcher = new Batcher({
      lengthOf: ({ history }) => lengthOf(model, history),
      maxQueries: 1,
      sizeOf: (histories, maxTokens) => ({ maxTokens, entries: entriesOf(model, histories) }),
      create: (size) => new Batch(model, size),
    });
  }

  /** @throws InputError for a model with a decoder */
  async maps(history: History): Promise<AttentionMaps> {
    const { model } = this;
    const { settings, cloze } = model;
    const { d, heads, bias, direction, window, decoder } = settings;
    const kind = BLOCKS[settings.block].attention;
    if (kind === 'none')
      throw new InputError('unsupported', `blocks of ${settings.block} have no attention weights`, {
        hint: 'explain by occlusion instead',
      });
    if (decoder > 0)
      throw new InputError('unsupported', 'attention roll-out does not follow the cross-attention of a decoder', {
        hint: 'explain by occlusion instead',
      });
    const tokens = lengthOf(model, history.history);
    const [{ batch }] = this.batcher.groups([history]);
    const { inputs, program } = batch;
    packHistories(model, [history], inputs.host);
    inputs.upload();
    const out = await program.values();
    this.biases ??= await this.readBiases();
    const pointwise = kind === 'pointwise';
    const host = inputs.host as { positions: Uint32Array; times?: Uint32Array; queryTimes?: Uint32Array };
    const times = readsTimes(settings) ? (host.times ?? host.positions).slice() : null;
    const weights: AttentionWeights[] = [];
    for (let i = 0; i < settings.blocks; i++) {
      const qkv = out[`qkv ${i}`] as Float32Array;
      requireFinite(qkv.subarray(0, 3 * d * tokens), 'attention weights');
      weights.push(
        new AttentionWeights(qkv, d, tokens, {
          heads,
          times,
          queryTimes: host.queryTimes?.slice(),
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

  dispose(): void {
    this.batcher.dispose();
  }
}

interface Size {
  maxTokens: number;
  /** Entries of the side features. */
  entries: number;
}

class Batch {
  readonly inputs: Inputs<ReturnType<typeof tokenSpec>>;
  readonly program: Program<Record<string, Tensor>>;

  constructor(model: SequenceModel, { maxTokens, entries }: Size) {
    const { device } = model;
    this.inputs = new Inputs(device, tokenSpec(maxTokens, model, entries), 'tokens to explain');
    this.program = device.program(`attention of ${maxTokens} tokens`, () =>
      device.noGrad(() => {
        const read: Record<string, Tensor> = {};
        model.encode(packedTokens(model, this.inputs.tensors), undefined, (block, qkv) => {
          read[`qkv ${block}`] = qkv;
        });
        return read;
      }),
    );
  }

  dispose(): void {
    this.program.dispose();
    this.inputs.dispose();
  }
}
