/** A batch of histories on the device, and the recorded program that ranks the catalog for each of them. */
import {
  add,
  copy,
  Inputs,
  logBlend,
  maskSeen,
  type NumericArray,
  type Program,
  rankOf,
  rankTiles,
  rowMoments,
  type Tensor,
  topk,
} from '../../engine/index.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';
import { maxScores } from './batcher.ts';
import { packedTokens, packHistories, tokenSpec } from './packing.ts';
import { nonFinite, requireFinite } from './ranks.ts';
import type { Scored, ScoreQuery, ScorerOptions } from './scored.ts';

export interface ScoreBatchSize {
  maxTokens: number;
  users: number;
  /** Excluded items of all users together. */
  excluded: number;
  /** Entries of the side features. */
  entries: number;
}

/** The scorer's options, with what is added to all scores on the device. */
type Options = Omit<ScorerOptions, 'bias' | 'shift'> & { bias: Tensor | null; shift: Tensor | null };

const NO_ITEM = 0xffffffff;
/** Outputs of the program that are ranks. */
const RANKS = /^(ranks|transformer|transitions|trial \d+)$/;

function inputSpec(
  model: SequenceModel,
  { maxTokens, users, excluded, entries }: ScoreBatchSize,
  { blend, queryBias }: Options,
) {
  const last = blend?.transitions.settings.last ?? 0;
  const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
  const f32 = (n: number) => ({ shape: [n], dtype: 'f32' as const });
  return {
    ...tokenSpec(maxTokens, model, entries),
    /** Position of each user's last token. */
    last: u32(users),
    targets: u32(users),
    excludedOffsets: u32(users + 1),
    excluded: u32(excluded),
    /** What the item transitions look up: each user's last items and their weights. */
    recentOffsets: u32(users + 1),
    recentItems: u32(users * last),
    recentWeights: f32(users * last),
    ...(queryBias ? { queryBias: { shape: [users, model.items], dtype: 'f32' as const } } : {}),
  };
}

/** Scores [U, to − from] of some columns of the catalog. */
type ScoreColumns = (from: number, to: number) => Tensor;

export class ScoreBatch {
  private readonly model: SequenceModel;
  private readonly size: ScoreBatchSize;
  private readonly options: Options;
  private readonly inputs: Inputs<ReturnType<typeof inputSpec>>;
  private readonly program: Program<Record<string, Tensor>>;
  /** b and ε of the blend, then of each trial. */
  private readonly weights: Tensor[];
  /** Whether the scores of all users fit in one tile; else the catalog is tiled by columns of this width. */
  private readonly whole: boolean;
  private readonly width: number;

  constructor(model: SequenceModel, size: ScoreBatchSize, options: Options) {
    this.model = model;
    this.size = size;
    this.options = options;
    const { device, items } = model;
    const { blend, queryBias, trials = [] } = options;
    const room = maxScores(device);
    this.whole = size.users * items <= room;
    this.width = this.whole ? items : Math.floor(room / size.users / 64) * 64;
    if (queryBias && !this.whole) throw new Error('scorer: a bias of each query does not fit in one tile');
    this.inputs = new Inputs(device, inputSpec(model, size, options), 'score inputs');
    const weights = blend ? [blend.weights, ...trials] : [];
    this.weights = weights.map(({ memory, epsilon }) =>
      device.tensor([memory, epsilon], [2], { label: 'blend weights' }).keep(),
    );
    this.program = device.program(`score ${size.maxTokens} tokens`, () => device.noGrad(() => this.rank()));
  }

  /** What the program runs: the ranks and the k best of the whole catalog, at once or by tiles of columns. */
  private rank(): Record<string, Tensor> {
    const { model, options } = this;
    const { shift, userVectors, scoresFrom } = options;
    const t = this.inputs.tensors;
    const states = model.nextStates(packedTokens(model, t), t.last);
    const out: Record<string, Tensor> = userVectors ? { userVectors: model.comparedStates(states) } : {};
    if (options.blend) return Object.assign(out, this.rankBlend(states));
    Object.assign(
      out,
      this.best((from, to) => this.masked(model.scores(states, from, to, shift), from)),
    );
    if (scoresFrom !== undefined)
      out.allScores = model.scores(states, Math.floor(scoresFrom / 64) * 64, model.items, shift);
    return out;
  }

  private rankBlend(states: Tensor): Record<string, Tensor> {
    const { model, options, whole, width } = this;
    const { blend, shift, components, scoresFrom } = options;
    const t = this.inputs.tensors;
    const V = model.items;
    const transitions = (blend as NonNullable<Options['blend']>).transitions;
    const lists = { offsets: t.recentOffsets, items: t.recentItems, weights: t.recentWeights };
    // Each component is computed once where it fits, and anew for each tile of columns where not.
    const kept = whole
      ? { states: model.scores(states, 0, V, shift), transitions: transitions.scores(lists, 0, V) }
      : null;
    const byStates: ScoreColumns = (from, to) => (kept ? copy(kept.states) : model.scores(states, from, to, shift));
    const byTransitions: ScoreColumns = (from, to) =>
      kept ? copy(kept.transitions) : transitions.scores(lists, from, to);
    let moments: Tensor | null = kept && rowMoments(kept.states);
    for (let from = 0; !kept && from < V; from += width) {
      const tile = byStates(from, Math.min(V, from + width));
      moments = rowMoments(tile, moments);
      tile.dispose();
    }
    const blended =
      (weights: Tensor): ScoreColumns =>
      (from, to) => {
        const tile = byStates(from, to);
        const more = kept?.transitions ?? byTransitions(from, to);
        logBlend(tile, more, moments as Tensor, weights);
        if (!kept) more.dispose();
        return this.masked(tile, from);
      };
    const [weights, ...trials] = this.weights;
    const out: Record<string, Tensor> = this.best(blended(weights));
    if (scoresFrom !== undefined) {
      if (!kept || scoresFrom !== 0) throw new Error('scorer: all scores of a blend do not fit in one tile');
      out.allScores = copy(kept.states);
      logBlend(out.allScores, kept.transitions, moments as Tensor, weights);
    }
    if (components) {
      out.transformer = this.rankOnly((from, to) => this.masked(byStates(from, to), from));
      out.transitions = this.rankOnly((from, to) => this.masked(byTransitions(from, to), from));
    }
    trials.forEach((trial, i) => {
      out[`trial ${i}`] = this.rankOnly(blended(trial));
    });
    return out;
  }

  /** A tile of scores with the biases, and without excluded items. */
  private masked(tile: Tensor, from: number): Tensor {
    const { bias } = this.options;
    const { queryBias, excludedOffsets, excluded } = this.inputs.tensors;
    let scores = tile;
    for (const added of [bias?.rows(from, from + tile.shape[1]), queryBias]) {
      if (!added) continue;
      const sum = add(scores, added);
      scores.dispose(); // an eager run holds one copy, too
      scores = sum;
    }
    maskSeen(scores, { offsets: excludedOffsets, items: excluded }, from);
    return scores;
  }

  private best(scores: ScoreColumns): { ranks: Tensor; items: Tensor; scores: Tensor } {
    const { whole, width, options, model } = this;
    const { targets } = this.inputs.tensors;
    const tile = whole ? scores(0, model.items) : null;
    const { ranks, indices, values } = tile
      ? { ranks: rankOf(tile, targets), ...topk(tile, options.k, { targets }) }
      : rankTiles(scores, model.items, width, targets, options.k);
    return { ranks, items: indices, scores: values };
  }

  private rankOnly(scores: ScoreColumns): Tensor {
    const { whole, width, model } = this;
    const { targets } = this.inputs.tensors;
    if (!whole) return rankTiles(scores, model.items, width, targets, 1).ranks;
    const tile = scores(0, model.items);
    const ranks = rankOf(tile, targets);
    tile.dispose(); // an eager run holds one copy, too
    return ranks;
  }

  async score(queries: readonly ScoreQuery[]): Promise<Scored[]> {
    this.fill(queries);
    const read = await this.program.values();
    const ranks = Object.keys(read).filter((name) => RANKS.test(name));
    return queries.map((_, u) => {
      // The device returns rank 0 where any score of the row is not finite, with or without a target.
      if (ranks.some((name) => read[name][u] === 0)) throw nonFinite('scores', Number.NaN);
      return this.scoredOf(read, u);
    });
  }

  private fill(queries: readonly ScoreQuery[]): void {
    const { host } = this.inputs;
    const { last, targets, excludedOffsets, excluded, recentOffsets, recentItems, recentWeights, queryBias } = host;
    const transitions = this.options.blend?.transitions;
    const { items } = this.model;
    let [excludedEnd, recentEnd] = [0, 0];
    last.fill(0);
    targets.fill(NO_ITEM);
    packHistories(this.model, queries, host).forEach((end, u) => (last[u] = end - 1));
    queries.forEach(({ history, target, exclude, bias }, u) => {
      if (target !== undefined) targets[u] = target;
      if (bias) queryBias?.set(bias, u * items);
      else queryBias?.fill(0, u * items, (u + 1) * items);
      excludedOffsets[u] = excludedEnd;
      if (exclude) excluded.set(exclude, excludedEnd);
      excludedEnd += exclude?.length ?? 0;
      recentOffsets[u] = recentEnd;
      if (transitions) recentEnd = transitions.listOf(history, recentEnd, recentItems, recentWeights);
    });
    recentOffsets.fill(recentEnd, queries.length);
    excludedOffsets.fill(excludedEnd, queries.length);
    this.inputs.upload();
  }

  /** User u's answer from the program's outputs. */
  private scoredOf(read: Record<string, NumericArray>, u: number): Scored {
    const { k, components, trials, scoresFrom } = this.options;
    const rowOf = (name: string): NumericArray => {
      const width = read[name].length / this.size.users;
      return read[name].subarray(u * width, (u + 1) * width);
    };
    const [items, scores] = [rowOf('items') as Uint32Array, rowOf('scores') as Float32Array];
    let n = 0;
    while (n < k && items[n] !== NO_ITEM && scores[n] > -1e38) n++;
    const scored: Scored = { rank: read.ranks[u], items: items.slice(0, n), scores: scores.slice(0, n) };
    if (scoresFrom !== undefined)
      scored.allScores = requireFinite((rowOf('allScores') as Float32Array).slice(scoresFrom % 64), 'scores');
    if (read.transformer && components)
      scored.components = { transformer: read.transformer[u], transitions: read.transitions[u] };
    if (read.userVectors)
      scored.userVector = requireFinite((rowOf('userVectors') as Float32Array).slice(), 'user vectors');
    if (this.options.blend && trials) scored.trials = trials.map((_, i) => read[`trial ${i}`][u]);
    return scored;
  }

  dispose(): void {
    this.program.dispose();
    this.inputs.dispose();
    for (const tensor of this.weights) tensor.dispose();
  }
}
