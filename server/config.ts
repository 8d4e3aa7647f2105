/** The config file of the server (JSON): named sets of options, weights of event types, limits. All of it is optional. */
import Type, { type Static } from 'typebox';
import { InputError } from '../data/errors.ts';
import { listOptions } from './http/schemas.ts';
import { faultOf, requestChecker } from './http/validation.ts';

const strict = { additionalProperties: false };
const { k, includeSeen, where, caps, calibrate, expose, diversity, explore } = listOptions;

export const ConfigFile = Type.Object(
  {
    scenarios: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Object({ k, includeSeen, where, caps, calibrate, expose, diversity, explore }, strict),
      ),
    ),
    /** Event type → weight: above 0 it counts as interest, 0 is stored only, below 0 is negative feedback. */
    events: Type.Optional(Type.Record(Type.String(), Type.Number({ minimum: -1, maximum: 1 }))),
    feedback: Type.Optional(
      Type.Object(
        {
          /** How long negative feedback hides an item and its neighbors. */
          days: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 3650 })),
          neighbors: Type.Optional(Type.Integer({ minimum: 0, maximum: 100 })),
        },
        strict,
      ),
    ),
    /** Lists of stored users that are kept until an event, an item or the model changes them. */
    cache: Type.Optional(
      Type.Object(
        {
          /** 0: none. */
          lists: Type.Optional(Type.Integer({ minimum: 0, maximum: 1e7 })),
          /** How old a list may be. */
          seconds: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 86_400 })),
        },
        strict,
      ),
    ),
    limits: Type.Optional(
      Type.Object(
        {
          /** Bytes of a request's body. */
          body: Type.Optional(Type.Integer({ minimum: 1024, maximum: 2 ** 28 })),
          /** Events of a session's history, and of a user's that are read. */
          history: Type.Optional(Type.Integer({ minimum: 1, maximum: 1e6 })),
          /** Requests a minute and key (or address, without keys); 0: any number. */
          rate: Type.Optional(Type.Integer({ minimum: 0, maximum: 1e9 })),
          /** Levels of a JSON body. */
          depth: Type.Optional(Type.Integer({ minimum: 4, maximum: 100 })),
          /**
           * Milliseconds by which the event loop may lag, on average over five seconds, before requests are refused;
           * 0: any number.
           */
          delay: Type.Optional(Type.Integer({ minimum: 0, maximum: 1e6 })),
        },
        strict,
      ),
    ),
  },
  strict,
);

type File = Static<typeof ConfigFile>;
export type Scenario = NonNullable<File['scenarios']>[string];

export interface ServerConfig {
  scenarios: ReadonlyMap<string, Scenario>;
  events: ReadonlyMap<string, number>;
  feedback: { days: number; neighbors: number };
  cache: { lists: number; seconds: number };
  limits: { body: number; history: number; rate: number; depth: number; delay: number };
}

/** Types of events that everybody has; those that neither these nor the config name weigh 1. */
const EVENTS = { dislike: -1, 'not-interested': -1 };

export function readConfig(text: string | null, file = 'config'): ServerConfig {
  let given: File = {};
  if (text !== null) {
    let parsed: unknown;
    try {
      parsed = JSON.parse(text.replace(/^\ufeff/, ''));
    } catch (error) {
      throw new InputError('invalid-data', `${file}: not JSON (${(error as Error).message})`);
    }
    const check = requestChecker([])(ConfigFile, 'body');
    if (!check(parsed))
      throw new InputError('invalid-data', `${file}: ${faultOf(check.errors ?? [], 'config').detail}`);
    given = parsed as File;
  }
  return {
    scenarios: new Map(Object.entries(given.scenarios ?? {})),
    events: new Map([...Object.entries(EVENTS), ...Object.entries(given.events ?? {})]),
    feedback: { days: 30, neighbors: 5, ...given.feedback },
    cache: { lists: 10_000, seconds: 60, ...given.cache },
    limits: { body: 2 ** 20, history: 10_000, rate: 0, depth: 16, delay: 1000, ...given.limits },
  };
}
