/**
 * What to train by default: a recipe and its settings from the size of the log alone, so that one log gives one choice on
 * every machine. The thresholds come from validation on MovieLens 100K and 1M at equal training time.
 */
import type { Split } from '../../data/splits/split.ts';
import { renamed } from './setting.ts';
import { SETTINGS } from './settings.ts';

/** What the choice depends on, of the training part. */
export interface LogSize {
  items: number;
  /** Events with a next item to learn from. */
  positions: number;
  /** Events of a history that nine in ten do not exceed. */
  length90: number;
}

export interface Choice {
  recipe: string;
  /** Settings that differ from the recipe's own, as `--set` takes them. */
  settings: Record<string, string>;
  /** What was picked and why, a phrase each. */
  reasons: string[];
}

/**
 * The largest catalog that each position is trained against as a whole. Beyond it, the output layer is most of the work, and
 * sampled negatives give more steps in the same time.
 */
const WHOLE_CATALOG = 2_500;
/** Sampled negatives, and more of them for catalogs beyond this size. */
const NEGATIVES = 512;
const MANY_ITEMS = 20_000;
/** Consecutive positions that share their negatives: the recipe's `negativeGroup`. */
const SHARED_BY = 128;
/** Windows to choose from. */
const WINDOWS = [10, 20, 50, 100, 200];
/** Positions from which a wider model has enough to learn from. */
const WIDE_FROM = 5_000_000;
/** Steps that an epoch should have at least: a small log is starved of updates by large batches. */
const STEPS_OF_AN_EPOCH = 40;

export function logSize(split: Split): LogSize {
  const lengths = Uint32Array.from({ length: split.users }, (_, u) => split.trainLength(u)).sort();
  const length90 = lengths[Math.min(lengths.length - 1, Math.ceil(lengths.length * 0.9))] ?? 0;
  return { items: split.items, positions: split.trainPositions(), length90 };
}

/** The choice for a log of this size. @param overrides the user's own settings, which replace those of the choice */
export function chooseRecipe({ items, positions, length90 }: LogSize, overrides: Record<string, string> = {}): Choice {
  const given = renamed(SETTINGS, overrides);
  const count = (n: number): string => n.toLocaleString('en-US');
  // A higher rate than the recipe's learns faster, and the average of the weights removes its noise.
  const settings: Record<string, string> = { learningRate: '0.002', ema: '0.998' };
  const reasons: string[] = [];

  const wide = positions >= WIDE_FROM;
  if (wide) Object.assign(settings, { d: '128', ff: '512', heads: '2' });
  reasons.push(`width ${wide ? 128 : 64} for ${count(positions)} positions to learn from`);

  const fits = WINDOWS.filter((length) => length <= Number(given.budget ?? Infinity));
  const window = fits.find((length) => length >= length90) ?? fits[fits.length - 1] ?? WINDOWS[0];
  settings.window = String(window);
  reasons.push(`window ${window}, since nine histories in ten have at most ${count(length90)} events`);

  const sizes = [1024, 2048, 4096].filter((tokens) => tokens >= Number(given.window ?? 0));
  const maxTokens = sizes.find((tokens) => positions < 2 * tokens * STEPS_OF_AN_EPOCH) ?? sizes.at(-1) ?? 4096;
  settings.budget = String(maxTokens);
  reasons.push(
    `batches of ${count(maxTokens)} tokens, so that an epoch has ${count(Math.ceil(positions / maxTokens))} steps`,
  );

  if (items <= WHOLE_CATALOG) {
    reasons.push(`softmax over all ${count(items)} items`);
  } else {
    const negatives = items > MANY_ITEMS ? 2 * NEGATIVES : NEGATIVES;
    Object.assign(settings, { loss: 'sampled-softmax', negatives: String(negatives) });
    // Negatives are shared by runs of positions, which must divide the batch; of a batch of another size, all share.
    if (Number(given.budget ?? maxTokens) % SHARED_BY !== 0) settings.negativeGroup = '0';
    reasons.push(`softmax over ${count(negatives)} sampled negatives, cheaper than over all ${count(items)} items`);
  }
  return { recipe: 'sasrec', settings, reasons };
}
