/** Recommendations in the worker, from one open model. */
import { InputError } from '../../data/errors.ts';
import { Recommender } from '../../recommend/recommender.ts';
import type { Answer, Recommendation, RecommendQuery } from '../../recommend/types.ts';
import { LISTED } from './contract.ts';
import { sharedDevice, trim } from './device.ts';
import { modelFiles } from './library.ts';
import { type Mix, Mixes } from './mix.ts';

export interface ListedItem {
  id: string;
  title: string;
  attributes: Record<string, string>;
}

export interface OpenedModel {
  id: string;
  items: ListedItem[];
  /** Attributes whose mix in a list can follow that of the history. */
  mixes: string[];
  /** Whether its training ranked items already seen. */
  includeSeen: boolean;
  note: string | null;
}

let open: { id: string; recommender: Recommender; mixes: Mixes } | null = null;

export async function openForRecommending(id: string): Promise<OpenedModel> {
  closeRecommender();
  const device = await sharedDevice();
  const recommender = await Recommender.load(await modelFiles(id), { device });
  open = { id, recommender, mixes: new Mixes(recommender.items) };
  void recommender.warmUp(LISTED).catch(() => {}); // a query reports what is wrong
  const { config, items, weights } = recommender.loaded;
  return { id, items, mixes: open.mixes.names, includeSeen: config.seen === 'kept', note: weights.note };
}

/** What the page shows of a response. */
export interface PageAnswer {
  items: Recommendation[];
  /** Computing time in milliseconds. */
  ms: number;
  attention: AttentionFacts | null;
  /** Of the attribute that the query calibrates; null without one. */
  mix: Mix | null;
}

/** Attention as plain arrays: `rows[block][head]` and `rollout` are [tokens, tokens], a row looks at columns. */
export interface AttentionFacts {
  titles: string[];
  tokens: number;
  pointwise: boolean;
  rows: Float32Array[][];
  rollout: Float32Array;
}

export async function recommend(query: RecommendQuery): Promise<PageAnswer> {
  await reopenAfterLoss();
  const started = performance.now();
  const { items, attention } = await recommender().recommend(query);
  const ms = performance.now() - started;
  const [name] = Object.keys(query.calibrate ?? {});
  const listed = items.map(({ id }) => id);
  const mix = name === undefined ? null : (open?.mixes.of(name, query.history, listed) ?? null);
  return { items, ms, attention: attention ? factsOf(attention) : null, mix };
}

/** Opens the model again after its device was lost, with its adaptation to the visitor. */
async function reopenAfterLoss(): Promise<void> {
  if (!open?.recommender.device.gpu?.failure) return;
  const { adaptation } = open.recommender;
  await openForRecommending(open.id);
  if (adaptation) open.recommender.adopt(adaptation);
}

/** Adapts to a visitor; see `Recommender.personalize`. @throws InputError */
export async function adaptTo(history: readonly string[]) {
  await reopenAfterLoss();
  const { events, loss } = await recommender().personalize(history);
  return { events, ...loss };
}

function factsOf({ maps, titles }: NonNullable<Answer['attention']>): AttentionFacts {
  const { tokens, blocks, heads, pointwise } = maps;
  const square = (row: (i: number) => Float64Array): Float32Array => {
    const all = new Float32Array(tokens * tokens);
    for (let i = 0; i < tokens; i++) all.set(row(i), i * tokens);
    return all;
  };
  const rows = Array.from({ length: blocks }, (_, block) =>
    Array.from({ length: heads }, (__, head) => square((i) => maps.row(block, head, i))),
  );
  return { titles, tokens, pointwise, rows, rollout: square((i) => maps.rollout(i)) };
}

export function recommender(): Recommender {
  if (!open) throw new InputError('not-found', 'no model is open', { hint: 'choose one' });
  return open.recommender;
}

export function closeRecommender(id?: string): void {
  if (!open || (id !== undefined && open.id !== id)) return;
  const { device } = open.recommender;
  open.recommender.close();
  open = null;
  trim(device);
}
