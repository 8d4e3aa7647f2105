/** What can be chosen of private training, what it rules out, and what it guarantees, in words. */
import type { Dataset } from '../../data/dataset.ts';
import { InputError, option } from '../../data/errors.ts';
import { mapped } from '../../data/column.ts';
import type { Privacy } from '../../model/storage/config.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { epsilonOf, noiseFor } from './accountant.ts';

/** What a training is asked to keep private: see {@link DP}. */
export type PrivacyOptions = Partial<Omit<Privacy, 'noise'>> & Pick<Privacy, 'epsilon'>;

interface Choice {
  /** Without one it must be given, or may be absent. */
  default?: number;
  help: string;
  expected: string;
  fits(value: number): boolean;
}

const DP: Readonly<Record<keyof PrivacyOptions, Choice>> = {
  epsilon: { help: 'ε, the privacy budget of the whole training', expected: 'a number > 0', fits: (x) => x > 0 },
  delta: {
    default: 1e-6,
    help: 'δ, the probability with which it may be exceeded',
    expected: 'a number > 0 and < 1',
    fits: (x) => x > 0 && x < 1,
  },
  clip: {
    default: 1,
    help: "largest norm of a user's gradient",
    expected: 'a number > 0',
    fits: (x) => x > 0,
  },
  rate: {
    default: 0.5,
    help: 'probability that a user is in a step',
    expected: 'a number > 0 and <= 1',
    fits: (x) => x > 0 && x <= 1,
  },
  steps: { default: 40, help: 'steps of the training', expected: 'an integer >= 1', fits: (x) => isCount(x) && x > 0 },
  noiseSeed: {
    help: 'makes noise that can be repeated, for measurements alone: with it nothing is private',
    expected: 'an integer >= 0',
    fits: (x) => isCount(x),
  },
};

const isCount = (x: number): boolean => Number.isSafeInteger(x) && x >= 0;

/** The choices, for help. */
export const describeChoices = (): string =>
  Object.entries(DP)
    .map(([key, { help, default: value }]) => `${key}: ${help}${value === undefined ? '' : ` (${value})`}`)
    .join('; ');

/** Settings that read the log where no noise covers it, or that nothing here does; and what they must be. */
const FIXED = {
  memory: 'off',
  ranker: 'off',
  guard: 'off',
  items: 'ids',
  decoder: '0',
  sampler: 'uniform',
  tableOptimizer: 'adamw',
  accumulate: '1',
  precision: 'f32',
  requestTime: 'off',
} as const;

/** Where noise decides, fewer weights take less of it; more than these learned nothing more (bench/RESULTS.md). */
const SUITED = { d: '16', ff: '32', blocks: '1', window: '50', dropout: '0', learningRate: '0.01' } as const;

/** What a training is asked for besides (train/plan.ts). */
interface Asked {
  recipe?: string;
  settings?: Readonly<Record<string, string>>;
  protocol?: { name: string };
  events?: readonly string[];
  domainColumn?: string;
  epochs?: number;
  parallel?: unknown;
}

/** What a plan may not have besides private training, and why. */
const RULED_OUT: readonly [name: string, given: (asked: Asked) => boolean, why: string][] = [
  ['epochs', ({ epochs }) => epochs !== undefined, 'a private training plans its steps (dp: steps)'],
  ['workers', ({ parallel }) => parallel !== undefined, 'a private training is done by one machine'],
  ['reads', ({ events = [] }) => events.length > 0, 'the values of such columns are stored without noise'],
  ['domainColumn', ({ domainColumn }) => domainColumn !== undefined, 'domains are read of the log without noise'],
  [
    'protocol',
    ({ protocol }) => ['temporal', 'cold-items', 'final'].includes(protocol?.name ?? ''),
    'it reads the log where no noise covers it, or has nothing to choose by; leave-one-out, last-n or ratio',
  ],
];

/**
 * The settings of a private training: those given, those that suit noise where none is, and those that it requires.
 * @throws InputError for what cannot be private
 */
export function privateSettings(options: Asked): Record<string, string> {
  const { settings = {} } = options;
  const asked = RULED_OUT.find(([, given]) => given(options));
  if (asked) throw new InputError('conflicting-settings', `with \`dp\`: ${asked[2]}`, { setting: asked[0] });
  for (const [key, value] of Object.entries(FIXED)) {
    if (settings[key] === undefined || settings[key] === value) continue;
    throw new InputError('conflicting-settings', `private training requires ${key}=${value}`, {
      setting: `settings.${key}`,
      value: settings[key],
    });
  }
  for (const key of ['budget', 'maxTokens'])
    if (settings[key] !== undefined)
      throw new InputError('conflicting-settings', 'a batch is one user in private training; choose window alone', {
        setting: `settings.${key}`,
        value: settings[key],
      });
  const suited = options.recipe === undefined ? SUITED : {};
  const own = { ...suited, ...settings, ...FIXED };
  const { window } = settingsFor(options.recipe ?? 'sasrec', own);
  return { ...own, budget: String(window) };
}

/** @throws InputError for an unknown key, or a value that makes no sense */
export function checkPrivacy(given: Readonly<Record<string, number | undefined>>): Omit<Privacy, 'noise'> {
  const unknown = Object.keys(given).find((key) => !Object.hasOwn(DP, key));
  if (unknown !== undefined)
    throw new InputError('invalid-value', `expected ${Object.keys(DP).join(', ')}, got ${unknown}`, { setting: 'dp' });
  const chosen = Object.entries(DP).flatMap(([key, { default: usual, expected, fits }]) => {
    const value = given[key] ?? usual;
    if (value === undefined && key !== 'epsilon') return [];
    if (value !== undefined && fits(value)) return [[key, value]];
    throw new InputError('invalid-value', `${key}: expected ${expected}, got ${value ?? 'nothing'}`, { setting: 'dp' });
  });
  return Object.fromEntries(chosen) as Omit<Privacy, 'noise'>;
}

/**
 * The noise that keeps the guarantee for a log of so many users.
 * @throws InputError where there is none, or δ is so large that a user's data could be published outright
 */
export function planPrivacy(asked: PrivacyOptions, users: number): Privacy {
  const checked = checkPrivacy(asked);
  const { epsilon, delta, rate, steps } = checked;
  if (delta * users >= 1)
    throw new InputError('invalid-value', `delta: expected less than 1 / users = ${1 / users}, got ${delta}`, {
      setting: 'dp',
    });
  const noise = noiseFor(epsilon, delta, rate, steps);
  if (noise === null)
    throw new InputError('invalid-value', `epsilon: ${epsilon} is less than any noise gives at delta ${delta}`, {
      setting: 'dp',
      hint: 'choose a larger epsilon or delta',
    });
  return { ...checked, noise };
}

/** ε of so many steps of a training. */
export const spentBy = ({ rate, noise, delta }: Privacy, steps: number): number =>
  epsilonOf([{ rate, noise, steps }], delta);

/** Items numbered by ID: numbers by first appearance tell what the first users met, and in which order. */
export function numberedById(dataset: Dataset): Dataset {
  const { itemIds } = dataset;
  const order = itemIds.map((_, row) => row).sort((a, b) => (itemIds[a] < itemIds[b] ? -1 : 1));
  const numbers = new Uint32Array(order.length);
  for (const [number, row] of order.entries()) numbers[row] = number;
  return { ...dataset, itemIds: order.map((row) => itemIds[row]), items: mapped(dataset.items, (row) => numbers[row]) };
}

/** The guarantee of so many steps, in a line. */
export function describePrivacy(privacy: Privacy, steps: number): string {
  const { delta, clip, noise, rate, steps: planned, noiseSeed } = privacy;
  const spent = spentBy(privacy, steps).toFixed(2);
  const of = steps < planned ? ` of ${planned}` : '';
  const seeded =
    noiseSeed === undefined ? '' : `; but its noise is that of seed ${noiseSeed}, so that nothing is private`;
  return `(${spent}, ${delta})-differential privacy of users, one more or less: ${steps} steps${of}, each user in one with probability ${rate}, gradients clipped to norm ${clip}, noise ${noise.toFixed(3)} times that${seeded}`;
}

/** What the guarantee takes as public, in a line. */
export const PUBLIC =
  'taken as public: the items, the filter, the numbers of users, items and interactions, and all settings; the folder also holds hashes of what it was trained on: publish what pack makes of it';

/** @throws InputError for what would learn from a log without noise on top of a private model */
export function refusePrivate({ privacy }: { privacy?: Privacy }, where: string, what: string): void {
  if (!privacy) return;
  throw new InputError('conflicting-settings', `${where}: was trained privately (${option('dp')}); ${what}`, {
    hint: 'train a new one',
  });
}
