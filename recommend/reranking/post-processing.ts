/**
 * Post-processing of scores: which items are candidates (conditions, allow and deny lists), what popular ones pay,
 * and how a list is made diverse, calibrated, or fair to items. The first two are a bias that the device adds to every user's
 * scores (model/inference/scorer.ts); the last re-ranks the 128 best (rerank.ts).
 */
import { InputError, option } from '../../data/errors.ts';
import type { ValuesOf } from '../../data/features/attribute-shares.ts';
import { parseCondition } from '../../data/features/condition.ts';
import { ownValue } from '../../data/own-value.ts';
import { columnNames, PLAIN, type CellFormat, cellFormats, valuesOf } from '../../data/features/values.ts';
import type { Item } from '../../model/storage/config.ts';
import { rowOf } from '../../model/storage/packed-tensor.ts';
import type { StoredTensor } from '../../model/storage/safetensors.ts';
import { requireFinite } from '../../model/inference/ranks.ts';
import { EXCLUDED } from '../../model/inference/scored.ts';
import { checkExploration, type Exploration, explore } from './explore.ts';
import type { ExposureFloor } from './expose.ts';
import { type Candidate, rerank, type RerankOptions } from './rerank.ts';

export interface PostProcessingOptions {
  /**
   * Only items whose attributes fulfill this condition: `price<50 and category=shoes`. There are =, !=, <, <=, >, >=,
   * `in (a, b)`, `is missing`, and, or, not and parentheses; names and values with spaces are put in double quotes.
   */
  where?: string;
  /** What `$name` stands for in `where`; without them a `$` is text. */
  variables?: ReadonlyMap<string, string>;
  /** Only items with these IDs. */
  allow?: readonly string[];
  /** No items with these IDs. */
  deny?: readonly string[];
  /**
   * 0 (leave the order) to 1: how much being unlike the items above it counts against the score, among the 128 best
   * (maximal marginal relevance with the model's item vectors).
   */
  diversity?: number;
  /** Attribute → how many items of a list may share a value of it, at least 1: `{ genre: 3 }`. */
  caps?: Readonly<Record<string, number>>;
  /**
   * Attribute → λ from 0 to 1: how much having its values in the proportions of the user's history counts against the score,
   * among the 128 best: `{ genre: 0.3 }` (calibrate.ts). Lists without a history stay as they are.
   */
  calibrate?: Readonly<Record<string, number>>;
  /** Items whose attribute has this value get at least this share of the list's exposure, among the 128 best (expose.ts). */
  expose?: readonly ExposureOptions[];
  /** λ ≥ 0: an item with n training events pays λ · log(1 + n) of its score. */
  popularityPenalty?: number;
  /** Show some items of which little is known, from the 128 best; before diversity, calibration, caps and floors. */
  explore?: Exploration;
}

export interface ExposureOptions {
  attribute: string;
  value: string;
  /** Above 0, at most 1. */
  share: number;
}

/** What the options do to a list. */
export interface PostProcessingPlan {
  /** [V] to be added to the scores; null where nothing is. */
  bias: Float32Array | null;
  /** How many items are candidates. */
  candidates: number;
  /** The k that stay of the best candidates, in their new order, for a history of item rows; null where the order stays. */
  rerank: ((best: readonly Candidate[], k: number, history: ArrayLike<number>) => Candidate[]) | null;
}

/** Re-ranking looks at as many of the best: what a device's list holds. */
export const RERANKED = 128;
/** λ beyond which penalized scores are no longer finite in single precision, with room to spare. */
const MOST_PENALTY = 1e6;
/** Biases (and memberships) that are kept, and the longest options that biases are kept by. */
const CACHED_BIASES = 16;
const CACHED_KEY = 4096;
/** Item vectors of length 1 that are kept. */
const CACHED = 2 ** 16;

/** Applies the options to the catalog of a model. */
export class PostProcessing {
  readonly items: readonly Item[];
  /** Item vectors [V, D], where there are any. */
  readonly vectors: StoredTensor | undefined;
  readonly rows: ReadonlyMap<string, number>;
  private names: string[] | null = null;
  private read: Map<string, CellFormat> | null = null;
  /** By their options: lists with the same bias are scored together. */
  private readonly biases = new Map<string, Pick<PostProcessingPlan, 'bias' | 'candidates'>>();
  private readonly units = new Map<number, Float32Array>();
  /** Attribute and value → [V] whether an item has it. */
  private readonly memberships = new Map<string, Uint8Array>();

  /**
   * @param items the rows of items.json @param rows ID → row
   * @param vectors [V, D] of the items, for diversity
   */
  constructor(items: readonly Item[], rows: ReadonlyMap<string, number>, vectors: StoredTensor | undefined) {
    this.items = items;
    this.rows = rows;
    this.vectors = vectors;
  }

  /** The same with other item vectors [V, D], those of an item tower. */
  withVectors(data: Float32Array): PostProcessing {
    const { items, rows } = this;
    return new PostProcessing(items, rows, { shape: [items.length, data.length / items.length], data });
  }

  /** @throws InputError, one line, where an option makes no sense for this model */
  plan(options: PostProcessingOptions): PostProcessingPlan {
    const { bias, candidates } = this.cachedBias(options);
    return { bias, candidates, rerank: this.reranker(options) };
  }

  private cachedBias(options: PostProcessingOptions): Pick<PostProcessingPlan, 'bias' | 'candidates'> {
    const { where, variables, allow, deny, popularityPenalty } = options;
    if (where === undefined && !allow && !deny && !popularityPenalty) return this.bias(options);
    const key = JSON.stringify([where, Array.from(variables ?? []), allow, deny, popularityPenalty]);
    const known = this.biases.get(key);
    if (known) return known;
    const made = this.bias(options);
    if (key.length <= CACHED_KEY) {
      if (this.biases.size >= CACHED_BIASES) this.biases.delete(this.biases.keys().next().value as string);
      this.biases.set(key, made);
    }
    return made;
  }

  private bias({
    where,
    variables,
    allow,
    deny,
    popularityPenalty = 0,
  }: PostProcessingOptions): Pick<PostProcessingPlan, 'bias' | 'candidates'> {
    const { items, rows } = this;
    if (!(popularityPenalty >= 0 && popularityPenalty <= MOST_PENALTY)) {
      throw new InputError(
        'invalid-value',
        `popularity penalty: expected a number from 0 to ${MOST_PENALTY}, got ${popularityPenalty}`,
      );
    }
    if (where === undefined && !allow && !deny && popularityPenalty === 0) {
      return { bias: null, candidates: items.length };
    }
    const bias = new Float32Array(items.length);
    if (popularityPenalty > 0) {
      items.forEach(({ count }, row) => {
        if (count === undefined) {
          throw new InputError(
            'unsupported',
            'a popularity penalty needs the number of training events of each item, which this model does not hold (an earlier version made it): train it again',
          );
        }
        bias[row] = -popularityPenalty * Math.log1p(count);
      });
    }
    const passes = where === undefined ? null : this.answer(where, variables ?? null);
    const allowed = allow && new Set(allow.map((id) => rows.get(id)));
    for (let row = 0; row < items.length; row++) {
      if ((passes && !passes[row]) || (allowed && !allowed.has(row))) bias[row] = EXCLUDED;
    }
    for (const id of deny ?? []) {
      const row = rows.get(id);
      if (row !== undefined) bias[row] = EXCLUDED;
    }
    const candidates = bias.reduce((n, value) => n + (value === EXCLUDED_F32 ? 0 : 1), 0);
    return { bias, candidates };
  }

  /** Which items fulfill a condition. */
  private answer(where: string, variables: ReadonlyMap<string, string> | null): Uint8Array {
    const condition = parseCondition(where, this.columns(), this.readings(), variables);
    return Uint8Array.from(this.items, (item) => (condition(item) ? 1 : 0));
  }

  private reranker(options: PostProcessingOptions): PostProcessingPlan['rerank'] {
    const { diversity = 0, explore: exploration } = options;
    if (exploration) checkExploration(exploration);
    if (!(diversity >= 0 && diversity <= 1))
      throw new InputError('invalid-value', `diversity: expected a number from 0 to 1, got ${diversity}`);
    const caps = Object.entries(options.caps ?? {}).map(([name, most]) => this.cap(name, most));
    const calibrate = this.calibrations(options.calibrate ?? {});
    const floors = (options.expose ?? []).map((floor) => this.floor(floor));
    const plain = diversity === 0 && caps.length === 0 && calibrate.length === 0 && floors.length === 0;
    if (plain && !exploration) return null;
    const order = (best: readonly Candidate[], k: number, history: ArrayLike<number>): Candidate[] => {
      const calibrations = calibrate.map((one) => ({ ...one, history }));
      return rerank(best, { k, diversity, vectorOf: (row) => this.vectorOf(row), caps, calibrations, floors });
    };
    if (!exploration) return order;
    const countOf = this.counts(exploration);
    return (best, k, history) => {
      // Other candidates, other draws.
      const seed = best.reduce((mix, { row }) => (Math.imul(mix, 31) + row) >>> 0, exploration.seed ?? 1);
      const explored = explore(best, ({ row }) => countOf(row), { ...exploration, seed });
      if (plain) return explored.slice(0, k);
      // Diversity weighs scores: each position keeps its score.
      const scores = new Map(best.map(({ row, score }) => [row, score]));
      const placed = explored.map(({ row }, i) => ({ row, score: best[i].score }));
      return order(placed, k, history).map(({ row }) => ({ row, score: scores.get(row) as number }));
    };
  }

  /** Training events by row; items added since have none. */
  private counts({ method }: Exploration): (row: number) => number {
    const { items } = this;
    if (method !== 'epsilon-greedy' && items.every(({ count }) => count === undefined)) {
      throw new InputError(
        'unsupported',
        `explore ${method} needs the number of training events of each item, which this model does not hold (an earlier version made it): train it again`,
      );
    }
    return (row) => items[row].count ?? 0;
  }

  private cap(asked: string, most: number): NonNullable<RerankOptions['caps']>[number] {
    const valuesOf = this.valuesBy(asked, `cap ${asked}=${most}`);
    if (!Number.isInteger(most) || most < 1) {
      throw new InputError('invalid-value', `cap ${asked}: expected an integer >= 1, got ${most}`);
    }
    return { most, valuesOf };
  }

  private calibrations(asked: Readonly<Record<string, number>>): { weight: number; valuesOf: ValuesOf }[] {
    const all = Object.entries(asked).map(([name, weight]) => {
      const valuesOf = this.valuesBy(name, `calibrate ${name}:${weight}`);
      if (!(weight >= 0 && weight <= 1))
        throw new InputError('invalid-value', `calibrate ${name}: expected a number from 0 to 1, got ${weight}`);
      return { weight, valuesOf };
    });
    const sum = all.reduce((n, { weight }) => n + weight, 0);
    if (sum > 1 + 1e-9)
      throw new InputError(
        'invalid-value',
        `calibrate: the weights add up to ${Number(sum.toFixed(6))}; 1 is the most`,
      );
    return all.filter(({ weight }) => weight > 0);
  }

  private floor({ attribute, value, share }: ExposureOptions): ExposureFloor {
    const what = `expose ${attribute}:${value}>=${share}`;
    if (!(share > 0 && share <= 1))
      throw new InputError(
        'invalid-value',
        `expose ${attribute}:${value}: expected a share above 0, at most 1, got ${share}`,
      );
    return { share, has: this.members(attribute, value, what) };
  }

  /**
   * Whether an item's attribute has a value, or it is one of its values; case does not matter, as in conditions.
   * @param what the option, for messages
   * @throws InputError where no item has it
   */
  members(attribute: string, value: string, what: string): (row: number) => boolean {
    const key = JSON.stringify([attribute, value]);
    let has = this.memberships.get(key);
    if (!has) {
      const valuesOf = this.valuesBy(attribute, what);
      const wanted = value.trim().toLowerCase();
      has = Uint8Array.from(this.items, (_, row) => Number(valuesOf(row).some((own) => own.toLowerCase() === wanted)));
      if (!has.includes(1)) {
        const known = Array.from(new Set(this.items.flatMap((_, row) => valuesOf(row))));
        const some = `${known.slice(0, 12).join(', ')}${known.length > 12 ? ', …' : ''}`;
        throw new InputError('unsupported', `${what}: no item's ${attribute} is ${value}; there is ${some}`);
      }
      if (this.memberships.size >= CACHED_BIASES) this.memberships.clear();
      this.memberships.set(key, has);
    }
    const known = has;
    return (row) => known[row] === 1;
  }

  /**
   * The values of each item's attribute, which is found without regard to case.
   * @param what the option, for messages
   * @throws InputError where no item has the attribute
   */
  valuesBy(asked: string, what: string): ValuesOf {
    const name = this.columns().find((own) => own.toLowerCase() === asked.toLowerCase());
    if (name === undefined) {
      const known = this.columns();
      throw new InputError(
        'unsupported',
        `${what}: no item has an attribute ${asked}; ${known.length > 0 ? `there is ${known.slice(0, 12).join(', ')}` : `the model knows no attributes (train it with ${option('items', 'PATH')})`}`,
      );
    }
    const reading = this.readings().get(name) ?? PLAIN;
    const lists = new Map<number, readonly string[]>();
    return (row) => {
      let list = lists.get(row);
      if (!list) {
        list = valuesOf(ownValue(this.items[row].attributes, name), reading);
        lists.set(row, list);
      }
      return list;
    };
  }

  /** An item's vector at length 1. */
  private vectorOf(row: number): Float32Array {
    const cached = this.units.get(row);
    if (cached) return cached;
    const { vectors } = this;
    if (vectors?.shape.length !== 2)
      throw new InputError('unsupported', 'diversity needs item vectors, which this model does not have');
    const vector = Float32Array.from(rowOf(vectors, row));
    const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
    const unit = requireFinite(length > 0 ? vector.map((x) => x / length) : vector, 'item vectors');
    if (this.units.size >= CACHED) this.units.clear();
    this.units.set(row, unit);
    return unit;
  }

  private columns(): string[] {
    this.names ??= columnNames(this.items);
    return this.names;
  }

  private readings(): Map<string, CellFormat> {
    this.read ??= cellFormats(this.items);
    return this.read;
  }
}

/** {@link EXCLUDED} as a bias holds it. */
export const EXCLUDED_F32 = Math.fround(EXCLUDED);

/** The lists of a scorer as candidates, best first. */
export function candidatesOf(items: Uint32Array, scores: Float32Array): Candidate[] {
  return Array.from(items, (row, i) => ({ row, score: scores[i] }));
}

/** The best of given scores [V] as candidates, best first, without items that are left out or excluded. */
export function bestOf(scores: ArrayLike<number>, excluded: Uint32Array, most: number): Candidate[] {
  const out = new Set(excluded);
  return Array.from(scores, (score, row) => ({ row, score }))
    .filter(({ row, score }) => score !== EXCLUDED_F32 && !out.has(row))
    .sort((a, b) => b.score - a.score || a.row - b.row)
    .slice(0, most);
}
