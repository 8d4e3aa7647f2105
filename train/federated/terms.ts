/** What the clients of a federation agree on: each is sent it, and each update is checked by it. */
import { InputError } from '../../data/errors.ts';
import { checkInteger, checkNumber, object, oneOf } from '../../model/storage/json-check.ts';
import { epsilonOf } from '../privacy/accountant.ts';
import { clientsCut } from './aggregate.ts';

/** What the coordinator does with the change that a round comes to (train/federated/server-step.ts). */
export const SERVER_STEPS = ['adam', 'average'] as const;
export type ServerStepName = (typeof SERVER_STEPS)[number];

export interface FederationTerms {
  rounds: number;
  /** Updates that close a round. */
  clients: number;
  /** Updates that suffice at a round's deadline; the noise is divided among as many. */
  leastClients: number;
  /** A client's steps of SGD in a round, and their learning rate. */
  steps: number;
  rate: number;
  /** Largest Euclidean norm of a client's change over all parameters; 0: none is cut. */
  clip: number;
  /**
   * Noise multiplier of a round: the standard deviation of the noise in the sum of the updates, in units of `clip`. Each
   * client adds its part. 0: none.
   */
  noise: number;
  /** Share of a round's clients, the loudest for each row of a parameter, whose norm there is cut to that of the next one. */
  trim: number;
  server: ServerStepName;
  serverRate: number;
}

/** Chosen on MovieLens 100K: see bench/federated.ts. */
export const FEDERATION: FederationTerms = {
  rounds: 10,
  clients: 10,
  leastClients: 10,
  steps: 1,
  rate: 1,
  clip: 1,
  noise: 0,
  trim: 0.05,
  server: 'adam',
  serverRate: 0.02,
};

const MOST_ROUNDS = 1_000_000;
const MOST_CLIENTS = 65_536;

/** What terms that come as JSON must look like. */
export const termsCheck = object<FederationTerms>({
  rounds: checkInteger(1, MOST_ROUNDS),
  clients: checkInteger(1, MOST_CLIENTS),
  leastClients: checkInteger(1, MOST_CLIENTS),
  steps: checkInteger(1, 10_000),
  rate: checkNumber(1e-9, 1e9),
  clip: checkNumber(0, 1e6),
  noise: checkNumber(0, 1e6),
  trim: checkNumber(0, 0.5),
  server: oneOf(SERVER_STEPS),
  serverRate: checkNumber(1e-9, 1e9),
});

/** The terms with what is not given as by default. @throws InputError for terms that make no sense */
export function checkTerms(given: Partial<FederationTerms> = {}): FederationTerms {
  const { clients } = { ...FEDERATION, ...given };
  const terms = { ...FEDERATION, leastClients: clients, ...given };
  const problem = termsCheck(terms, '');
  if (problem !== null) throw new InputError('invalid-value', problem);
  if (terms.leastClients > clients)
    throw new InputError('conflicting-settings', `expected at most as many as clients (${clients})`, {
      setting: 'leastClients',
      value: terms.leastClients,
    });
  if (terms.noise > 0 && terms.clip === 0)
    throw new InputError('conflicting-settings', 'noise hides an update only where its norm is bounded', {
      setting: 'clip',
      value: 0,
      hint: 'give a norm above 0',
    });
  return terms;
}

/** Standard deviation of the noise that each client adds to each number of its update: the sum of all has `noise` times `clip`. */
export const noiseOf = ({ noise, clip, leastClients }: FederationTerms): number =>
  (noise * clip) / Math.sqrt(leastClients);

/** Largest norm where none is named: no sum of updates comes near the end of f32. */
const UNCLIPPED = 1e6;
/** What rounding may add to a norm. */
const TOLERANCE = 1e-3;
/** Standard deviations: an honest client's noise is beyond it once in 10⁸ updates (Boucheron et al. 2013, theorem 5.6). */
const SPARE = 6;

/** Largest norm of an update that an honest client sends, of so many numbers. */
export function largestNorm(terms: FederationTerms, numbers: number): number {
  if (terms.clip === 0) return UNCLIPPED;
  return terms.clip * (1 + TOLERANCE) + noiseOf(terms) * (Math.sqrt(numbers) + SPARE);
}

/** The ε of a client that takes part in so many rounds, at δ = `DELTA`; neighbors differ by that client. */
export interface FederationPrivacy {
  /** Of its updates, whoever sees them: the coordinator. */
  updates: number;
  /** Of the models that are published, where as many honest clients as `leastClients` add noise; null: nothing is claimed. */
  published: number | null;
}

export const DELTA = 1e-6;

/**
 * Without amplification by sampling: clients come when they like, and the coordinator sees who does. Where rows are cut, what
 * is published is no sum, so that the noise of other clients proves nothing.
 */
export function privacyOf({ noise, trim, clients, leastClients }: FederationTerms, rounds: number): FederationPrivacy {
  const spent = (multiplier: number): number => epsilonOf([{ rate: 1, noise: multiplier, steps: rounds }], DELTA);
  return {
    updates: spent(noise / Math.sqrt(leastClients)),
    published: noise > 0 && clientsCut(trim, clients) === 0 ? spent(noise) : null,
  };
}
