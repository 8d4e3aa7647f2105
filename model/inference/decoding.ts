/** How the next item of a continuation is picked from the scores of a step: greedily, at random, or along several beams. */
import { seeded } from '../../data/random.ts';

export const DECODES = ['greedy', 'top-k', 'nucleus', 'beam'] as const;
export type Decode = (typeof DECODES)[number];

export interface DecodeOptions {
  decode: Decode;
  /** top-k: how many candidates to draw from, 1 to 128. */
  topK: number;
  /** nucleus: the likeliest items (128 at most) that have this much probability together (Holtzman et al., ICLR 2020). */
  topP: number;
  /** beam: continuations that are followed at once, 1 to 16. */
  beams: number;
  /** Seed of the random draws; one seed, one result. */
  seed: number;
}

export interface DecodingOptions extends DecodeOptions {
  /** Items to generate. */
  steps: number;
  /** Scores are divided by it before the softmax: below 1 the likeliest items become likelier yet. */
  temperature: number;
  /** Whether a continuation may hold an item twice. */
  repeats: boolean;
  /** At least so many items are returned by the first step (`first` of the result), 1 to 128. */
  named: number;
}

export const GENERATE: Omit<DecodingOptions, 'steps'> = {
  decode: 'greedy',
  topK: 10,
  topP: 0.9,
  beams: 4,
  temperature: 1,
  repeats: false,
  seed: 1,
  named: 1,
};

/** The likeliest items after a row, best first, and the log probability of each. */
export interface Successors {
  items: Uint32Array;
  logs: Float64Array;
}

/** One continuation so far. */
export interface Path {
  items: number[];
  /** Of each item, given those before it. */
  logs: number[];
  /** Σ logs. */
  total: number;
}

/** Continues the row `parent` by one item. */
interface Branch {
  parent: number;
  path: Path;
}

/** Items that a step must return for each row. */
export function successorsNeeded({ decode, topK, beams }: DecodeOptions, most = 128): number {
  return Math.min(most, decode === 'greedy' ? 1 : decode === 'top-k' ? topK : decode === 'beam' ? beams : 128);
}

/** Rows that one history takes. */
export const rowsNeeded = ({ decode, beams }: DecodeOptions): number => (decode === 'beam' ? beams : 1);

/** How the continuations of one history grow. */
export class Picker {
  private readonly options: DecodeOptions;
  private readonly random: () => number;

  /** @param number of the history in the call: each has its own draws */
  constructor(options: DecodeOptions, number: number) {
    this.options = options;
    const stream = seeded(options.seed, number);
    this.random = () => stream.next();
  }

  /** The paths after a step, best first; as long as before where a path has no successor left. */
  grow(paths: readonly Path[], successors: readonly Successors[]): Branch[] {
    if (this.options.decode === 'beam') return this.best(paths, successors);
    return paths.map((path, parent) => {
      const at = this.pick(successors[parent]);
      return { parent, path: at < 0 ? path : longer(path, successors[parent], at) };
    });
  }

  private best(paths: readonly Path[], successors: readonly Successors[]): Branch[] {
    const all = paths.flatMap((path, parent) =>
      Array.from(successors[parent].items, (_, at): Branch => ({ parent, path: longer(path, successors[parent], at) })),
    );
    if (all.length === 0) return paths.map((path, parent) => ({ parent, path }));
    // Sorting is stable: of equals, the one from the better beam comes first.
    return all.sort((a, b) => b.path.total - a.path.total).slice(0, this.options.beams);
  }

  /** Index of the item to continue with; −1 where there is none. */
  private pick({ items, logs }: Successors): number {
    const { decode, topK, topP } = this.options;
    if (items.length === 0) return -1;
    if (decode === 'greedy') return 0;
    let count = decode === 'top-k' ? Math.min(topK, items.length) : 0;
    if (decode === 'nucleus')
      for (let sum = 0; count < items.length && sum < topP; count++) sum += Math.exp(logs[count]);
    const weights = Array.from(logs.subarray(0, count), Math.exp);
    let left = this.random() * weights.reduce((a, b) => a + b, 0);
    const at = weights.findIndex((w) => (left -= w) < 0);
    return at < 0 ? count - 1 : at;
  }
}

const longer = ({ items, logs, total }: Path, next: Successors, at: number): Path => ({
  items: [...items, next.items[at]],
  logs: [...logs, next.logs[at]],
  total: total + next.logs[at],
});
