/** What a recommender is asked, and what it answers. */
import type { AttentionMaps } from '../model/inference/attention-maps.ts';
import type { DecodingOptions } from '../model/inference/decoding.ts';
import type { PersonalizeSettings } from '../model/inference/personalize.ts';
import type { UserContext } from '../model/inference/query.ts';
import type { ExplainMethod, Explanation } from './explanations/explain.ts';
import type { PostProcessingOptions } from './reranking/post-processing.ts';

export interface RecommendQuery extends PostProcessingOptions, UserContext {
  /** Item IDs, oldest first; none for a cold-start user, who gets what the user's segment likes, or what is popular. */
  history: readonly string[];
  /**
   * When each event of the history was: seconds since 1970, or the unit that the log of the training has. Only models with
   * a bias for time (`hstu`), or trained with the event features gap, hour or weekday, read them; without them events
   * count as one unit apart.
   */
  times?: readonly number[];
  /**
   * When the next event is asked for: a time since 1970, or in the unit of `times`; null: unknown. By default the current time.
   * Models trained with `requestTime=on` read it (`readsNow`); others ignore it.
   */
  now?: number | null;
  /** How many to recommend, 1 to 128; 10 by default. */
  k?: number;
  /** Item IDs never to recommend. */
  exclude?: readonly string[];
  /** Recommend items of the history, too. */
  includeSeen?: boolean;
  /** Explain each recommendation: see recommend/explanations/explain.ts. */
  explain?: ExplainMethod;
  /** Return the maps of the model's attention over the history, too. */
  attention?: boolean;
}

export interface PersonalizeOptions extends Partial<PersonalizeSettings>, UserContext {
  /** When each event was; see {@link RecommendQuery}. */
  times?: readonly number[];
  /** When the next event is asked for; see {@link RecommendQuery}. */
  now?: number | null;
}

/** How a history is continued; all but `steps` have defaults (see model/inference/decoding.ts). */
export interface GenerateOptions extends Partial<Omit<DecodingOptions, 'named'>>, UserContext {
  /** When each event of the history was; see {@link RecommendQuery}. */
  times?: readonly number[];
  /** When the first of the items is asked for; see {@link RecommendQuery}. */
  now?: number | null;
  /** Items to generate: up to the window of an encoder alone, up to what a decoder was trained for (10). */
  steps: number;
  /** Item IDs never to generate. */
  exclude?: readonly string[];
  /** Generate items of the history, too. */
  includeSeen?: boolean;
}

export interface GeneratedItem {
  id: string;
  title: string;
  attributes: Record<string, string>;
  /** Natural logarithm of the item's probability, given those before it. */
  logProbability: number;
}

export interface Continuation {
  /** In the order in which they follow; fewer than asked for where the catalog runs out. */
  items: GeneratedItem[];
  /** Sum of the items' log probabilities. */
  logProbability: number;
}

export interface GenerateAnswer extends Continuation {
  /** `decode: 'beam'`: all continuations that were followed to the end, likeliest first. */
  beams?: Continuation[];
  /** IDs of the history that the model does not know; they were skipped. */
  unknown: string[];
}

export interface Recommendation {
  id: string;
  title: string;
  /** The model's score, less the popularity penalty: comparable within one answer. */
  score: number;
  attributes: Record<string, string>;
  /** P(interaction) by the ranker, where the model has one and the item was among its candidates. */
  probability?: number;
  /** Where it was asked for. */
  explanation?: Explanation;
}

export interface Answer {
  /** Best first. */
  items: Recommendation[];
  /** IDs of the history that the model does not know; they were skipped. */
  unknown: string[];
  /** How many values of the user or the events the model does not know, by column; they were encoded as unknown. */
  unseen: Record<string, number>;
  /** Where they were asked for, with the titles of the events that the model read, oldest first. */
  attention?: { maps: AttentionMaps; titles: string[] };
}
