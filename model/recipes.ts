/** Recipes are data: an architecture and how to train it, by name. */
import { InputError } from '../data/errors.ts';

export interface Settings {
  /** Model width D. */
  d: number;
  /** Feed-forward width F. */
  ff: number;
  blocks: number;
  heads: number;
  /** Dropout after the embedding, on attention weights and on both residual branches. */
  dropout: number;
  /** Longest window T, in events. */
  window: number;
  activation: 'gelu' | 'relu' | 'silu';
  learningRate: number;
  /** AdamW's decoupled weight decay, on matrices but not on embeddings, biases and norms. */
  weightDecay: number;
  /** Largest global norm of the gradient. */
  clip: number;
  /** Tokens of a training batch. */
  budget: number;
  /** Validations without a better NDCG@10 after which training stops. */
  patience: number;
  /** Users that are validated on (drawn once by the seed); all of them if there are fewer. */
  validateUsers: number;
  /** Steps between validations; 0 means about an epoch, and at least 64 steps. */
  validateSteps: number;
}

export interface Recipe {
  name: string;
  summary: string;
  paper: string;
  settings: Settings;
}

export const recipes: ReadonlyMap<string, Recipe> = new Map(
  [
    {
      name: 'sasrec',
      summary: 'causal self-attention over the history, full softmax cross-entropy over the catalogue',
      paper:
        'W.-C. Kang, J. McAuley: Self-Attentive Sequential Recommendation, ICDM 2018; trained as in A. Klenitskiy, A. Vasilev: Turning Dross Into Gold Loss, RecSys 2023',
      settings: {
        d: 64,
        ff: 256,
        blocks: 2,
        heads: 1,
        dropout: 0.2,
        window: 200,
        activation: 'gelu' as const,
        learningRate: 1e-3,
        weightDecay: 0.01,
        clip: 1,
        budget: 4096,
        patience: 10,
        validateUsers: 2000,
        validateSteps: 0,
      },
    },
  ].map((r) => [r.name, r]),
);

const WHOLE: (keyof Settings)[] = ['d', 'ff', 'blocks', 'heads', 'window', 'budget', 'patience', 'validateUsers'];

/**
 * A recipe's settings with `--set key=value` applied.
 * @throws InputError for an unknown recipe or key, or a value that makes no model
 */
export function settingsFor(recipe: string, overrides: Readonly<Record<string, string>> = {}): Settings {
  const found = recipes.get(recipe);
  if (!found) throw new InputError(`recipe ${recipe}: unknown; there is ${[...recipes.keys()].join(', ')}`);
  const settings: Record<string, number | string> = { ...found.settings };
  for (const [key, text] of Object.entries(overrides)) {
    if (!Object.hasOwn(settings, key)) {
      throw new InputError(`--set ${key}: unknown setting; there is ${Object.keys(settings).join(', ')}`);
    }
    if (typeof settings[key] === 'string') settings[key] = text;
    else {
      const value = text.trim() === '' ? Number.NaN : Number(text);
      if (!Number.isFinite(value)) throw new InputError(`--set ${key}=${text}: a number was expected`);
      settings[key] = value;
    }
  }
  return checkSettings(settings as unknown as Settings);
}

/** Refuses settings that make no model, with one line that says which. */
export function checkSettings(s: Settings): Settings {
  const fail = (key: keyof Settings, what: string): never => {
    throw new InputError(`--set ${key}=${s[key]}: ${what}`);
  };
  for (const key of WHOLE)
    if (!Number.isInteger(s[key]) || (s[key] as number) < 1) fail(key, 'a whole number from 1 on was expected');
  if (!Number.isInteger(s.validateSteps) || s.validateSteps < 0)
    fail('validateSteps', 'a whole number from 0 on was expected');
  if (s.d % s.heads !== 0) fail('heads', `d=${s.d} does not divide by it`);
  if ((s.d / s.heads) % 4 !== 0)
    fail('heads', `the width of a head, d/heads = ${s.d / s.heads}, must be a multiple of 4`);
  if (s.d / s.heads > 128) fail('heads', `the width of a head, d/heads = ${s.d / s.heads}, must be at most 128`);
  if (!(s.dropout >= 0 && s.dropout < 1)) fail('dropout', 'from 0 to below 1 was expected');
  if (!['gelu', 'relu', 'silu'].includes(s.activation)) fail('activation', 'gelu, relu or silu was expected');
  if (!(s.learningRate > 0)) fail('learningRate', 'a number above 0 was expected');
  if (!(s.weightDecay >= 0)) fail('weightDecay', 'a number from 0 on was expected');
  if (!(s.clip > 0)) fail('clip', 'a number above 0 was expected');
  if (s.window > s.budget) fail('window', `a batch of ${s.budget} tokens cannot hold it; set budget higher`);
  if (s.budget > 65536) fail('budget', 'at most 65,536 tokens were expected');
  return s;
}
