/**
 * Evaluation protocols by name: which events train and which are predicted.
 *
 *   leave-one-out  a user's last event is the test target, the one before it the validation target
 *   ratio          a user's last share of events is the test part, the share before it validation; all are targets
 *   last-n         a user's last n events are the test part, the n before them validation; all are targets
 *   temporal       one cut in time for all users: training is on events before it, so that nothing is learned from the
 *                  future (Meng et al., RecSys 2020; Ji et al., TOIS 2023; Hidasi & Czapp, RecSys 2023)
 *   sampled-100    leave-one-out, but the target competes with 100 sampled items only (Kang & McAuley, ICDM 2018). Such
 *                  metrics are far higher and rank recommenders differently (Krichene & Rendle, KDD 2020); for comparison
 *                  with older papers
 *   cold-items     some items are removed from every history and from training, and recommended by their attributes
 *                  (data/splits/cold.ts)
 *   final          all events train, and none is held out: for the model that is served, once another has chosen how
 *
 * Written as `NAME` or `NAME:key=value,…`.
 */
import { InputError } from '../errors.ts';
import { dateOf, unitOf } from '../formats/times.ts';

export type ProtocolName = 'leave-one-out' | 'temporal' | 'ratio' | 'last-n' | 'sampled-100' | 'cold-items' | 'final';

/** A protocol with all its parameters, as JSON; metrics are comparable if name and parameters are the same. */
export interface Protocol {
  name: ProtocolName;
  parameters: Readonly<Record<string, number | string>>;
}

interface Parameter {
  /** Without a default, the split takes it from the log. */
  default?: number | string;
  /** Of a text. */
  choices?: readonly string[];
  /** Of a number. */
  is?: 'share' | 'seed' | 'time' | 'count';
}

/** The parameters of each protocol. */
const PARAMETERS: Record<ProtocolName, Record<string, Parameter>> = {
  'leave-one-out': {},
  temporal: {
    /** Shares of all events: the cuts are quantiles of time. */
    valid: { default: 0.1, is: 'share' },
    test: { default: 0.1, is: 'share' },
    /** A user's first event after the cut, or all of the part. */
    targets: { default: 'first', choices: ['first', 'all'] },
    /** The cuts themselves, as the log's times: the start of validation and of test. */
    validFrom: { is: 'time' },
    testFrom: { is: 'time' },
  },
  ratio: { valid: { default: 0.1, is: 'share' }, test: { default: 0.2, is: 'share' } },
  'last-n': { n: { default: 10, is: 'count' } },
  'sampled-100': { seed: { default: 1, is: 'seed' } },
  'cold-items': {
    /** Of the catalog, if no file names the cold items. */
    share: { default: 0.2, is: 'share' },
    /** Of the other items, for validation. */
    valid: { default: 0.1, is: 'share' },
    seed: { default: 1, is: 'seed' },
    /** How many a file named. */
    listed: { is: 'seed' },
  },
  final: {},
};

/** Those that a model may be chosen by, or evaluated. */
export const PROTOCOLS = (Object.keys(PARAMETERS) as ProtocolName[]).filter((name) => name !== 'final');

/** Negatives of `sampled-100`. */
export const NEGATIVES = 100;

export const LEAVE_ONE_OUT: Protocol = { name: 'leave-one-out', parameters: {} };
export const FINAL: Protocol = { name: 'final', parameters: {} };

/**
 * `temporal` or `temporal:valid=0.05,targets=all`.
 * @throws InputError that names what is unknown and what there is
 */
export function parseProtocol(text: string): Protocol {
  const colon = text.indexOf(':');
  const name = (colon < 0 ? text : text.slice(0, colon)).trim();
  if (!PROTOCOLS.some((known) => known === name)) {
    throw new InputError('invalid-value', `unknown protocol; there is ${PROTOCOLS.join(', ')}`, {
      setting: 'protocol',
      value: text,
    });
  }
  const given = new Map<string, string>();
  for (const pair of colon < 0 ? [] : text.slice(colon + 1).split(',')) {
    const at = pair.indexOf('=');
    if (at < 1)
      throw new InputError('invalid-value', `expected ${name}:key=value,..., got ${JSON.stringify(pair)}`, {
        setting: 'protocol',
        value: text,
      });
    given.set(pair.slice(0, at).trim(), pair.slice(at + 1).trim());
  }
  return checkProtocol(name as ProtocolName, Object.fromEntries(given), (reason) => {
    throw new InputError('invalid-value', reason, { setting: 'protocol', value: text });
  });
}

/** The protocol that a model's config names. @throws InputError where this version does not know it */
export function storedProtocol(
  name: string,
  parameters: Readonly<Record<string, number | string>> | undefined,
  where: string,
): Protocol {
  if (!Object.hasOwn(PARAMETERS, name)) {
    throw new InputError(
      'unsupported',
      `${where}: trained under the protocol ${name}, which this version of Attune does not know`,
    );
  }
  return checkProtocol(name as ProtocolName, parameters ?? {}, (reason) => {
    throw new InputError('damaged-model', `${where}: ${reason}`);
  });
}

type Refuse = (reason: string) => never;

function checkProtocol(name: ProtocolName, given: Readonly<Record<string, number | string>>, refuse: Refuse): Protocol {
  const known = PARAMETERS[name];
  const parameters: Record<string, number | string> = {};
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(known, key)) continue;
    const there = Object.keys(known).join(', ') || 'none';
    refuse(`${name} has no parameter ${key}; there is ${there}`);
  }
  for (const [key, about] of Object.entries(known)) {
    const value = given[key] ?? about.default;
    if (value === undefined) continue;
    parameters[key] = about.choices ? choiceOf(value, about.choices, key, refuse) : numberOf(value, about, key, refuse);
  }
  const { valid, test } = parameters;
  if (typeof valid === 'number' && typeof test === 'number' && !(valid + test < 1)) {
    refuse(`valid=${valid} and test=${test} leave nothing to train on; their sum must be below 1`);
  }
  if (Object.hasOwn(parameters, 'validFrom') !== Object.hasOwn(parameters, 'testFrom')) {
    refuse('validFrom requires testFrom, and the other way round');
  }
  if ((parameters.validFrom ?? 0) > (parameters.testFrom ?? 0)) {
    refuse(`validFrom=${parameters.validFrom} is later than testFrom=${parameters.testFrom}`);
  }
  return { name, parameters };
}

function choiceOf(value: number | string, choices: readonly string[], key: string, refuse: Refuse): string {
  if (choices.includes(String(value))) return String(value);
  return refuse(`${key}=${value}: expected ${choices.join(' or ')}`);
}

function numberOf(value: number | string, { is }: Parameter, key: string, refuse: Refuse): number {
  const number = String(value).trim() === '' ? Number.NaN : Number(value);
  if (is === 'share' && !(number > 0 && number < 1)) {
    refuse(`${key}=${value}: expected a share between 0 and 1`);
  }
  if (is === 'seed' && !(Number.isSafeInteger(number) && number >= 0)) {
    refuse(`${key}=${value}: expected an integer >= 0`);
  }
  if (is === 'count' && !(Number.isSafeInteger(number) && number >= 1 && number <= 128)) {
    refuse(`${key}=${value}: expected an integer from 1 to 128`);
  }
  if (!Number.isFinite(number)) refuse(`${key}=${value}: expected a number`);
  return number;
}

/** For people: `temporal (valid 0.1, test 0.1, targets first, …)`. */
export function describeProtocol({ name, parameters }: Protocol): string {
  const list = Object.entries(parameters).map(([key, value]) => `${key} ${value}`);
  return list.length > 0 ? `${name} (${list.join(', ')})` : name;
}

export const REQUEST_TIMES = ['unknown', 'known'] as const;

/**
 * Whether a target's time is known when it is predicted, as the time of a request is in deployment. Of several targets it is
 * that of the first. Nothing else of a target is known.
 */
export type RequestTime = (typeof REQUEST_TIMES)[number];

/** What metrics hang on besides the protocol, for people. */
export const describeTime = (request: RequestTime): string => `request time ${request}, equal times in file order`;

/** The text that `parseProtocol` reads as this very protocol. */
export function protocolFlag({ name, parameters }: Protocol): string {
  const list = Object.entries(parameters).filter(([key, value]) => PARAMETERS[name][key]?.default !== value);
  return list.length > 0 ? `${name}:${list.map(([key, value]) => `${key}=${value}`).join(',')}` : name;
}

/** Whether metrics under both are of the same targets and candidates. */
export function sameProtocol(a: Protocol, b: Protocol): boolean {
  const keys = new Set([...Object.keys(a.parameters), ...Object.keys(b.parameters)]);
  return a.name === b.name && [...keys].every((key) => a.parameters[key] === b.parameters[key]);
}

/** What is predicted, for people: `each user's last interaction among all 3,416 items`. */
export function describeTask({ name, parameters }: Protocol, part: 'valid' | 'test', items: number): string {
  if (name === 'cold-items') {
    return `all of each user's interactions with the cold items of the ${part === 'test' ? 'test' : 'validation'}, among those`;
  }
  const candidates =
    name === 'sampled-100' ? `among ${NEGATIVES} sampled items` : `among all ${items.toLocaleString('en-US')} items`;
  return `${describeTargets(name, parameters, part)} ${candidates}`;
}

function describeTargets(name: ProtocolName, parameters: Protocol['parameters'], part: 'valid' | 'test'): string {
  const percent = (share: number | string = Number.NaN) => `${Number((100 * Number(share)).toFixed(2))} %`;
  if (name === 'ratio') {
    return part === 'test'
      ? `the last ${percent(parameters.test)} of each user's interactions`
      : `the ${percent(parameters.valid)} of each user's interactions before the last ${percent(parameters.test)}`;
  }
  if (name === 'last-n') {
    const { n } = parameters;
    return part === 'test'
      ? `the last ${n} of each user's interactions`
      : `the ${n} of each user's interactions before the last ${n}`;
  }
  if (name === 'temporal') {
    const which = parameters.targets === 'all' ? "all of each user's interactions" : "each user's first interaction";
    const from = moment(Number(parameters[part === 'test' ? 'testFrom' : 'validFrom']));
    return part === 'test'
      ? `${which} from ${from} on`
      : `${which} from ${from} to ${moment(Number(parameters.testFrom))}`;
  }
  return `each user's ${part === 'test' ? 'last' : 'last but one'} interaction`;
}

/** A time of the log: as a date where its size is that of one. */
function moment(time: number): string {
  const ms = dateOf(time, unitOf(Math.abs(time)));
  if (ms === null) return String(time);
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
