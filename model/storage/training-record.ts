/**
 * What a model was trained on, so that it is never evaluated on that: training.bin in the model folder. It holds hashes
 * alone, salted so that two models' records cannot be compared, and is left out by `attune pack`.
 *
 * An event is known by its user, its item and how many times the user had the item before, so that a longer, shorter or
 * re-exported log of the same users gives the same hashes. Of ratings the round that tests the event is hashed, too.
 * Little-endian, U users by rising hash, E events, each user's together and in the users' order:
 *
 *   0    8   "attune-t"
 *   8    4   version, 1
 *   12   4   0: next items, 1: ratings
 *   16   8   salt, two u32; follows from the seed and the user IDs
 *   24   4   U
 *   28   4   E
 *   32  28·U per user: hash of the ID u64 (high word first), the latest time of its events in ms since 1970 f64 (NaN:
 *            unknown), events that trained u32, events of the validation u32, events of the user in all u32
 *   …   5·E  per user the 40-bit hashes of what trained, rising, then those of the validation, rising
 *
 * A million events take 5 MB. Two different events of a user share a hash with probability 10⁻¹².
 */
import { InputError } from '../../data/errors.ts';
import { GrowableArray } from '../../data/log.ts';
import type { Ratings } from '../../data/ratings/ratings.ts';
import { milliseconds } from '../../data/features/event-encoder.ts';
import type { Split } from '../../data/splits/split.ts';
import type { Files } from './files.ts';
import { commit, Snapshot, withSnapshot } from './manifest.ts';

export const TRAINING = 'training.bin';

const MAGIC = 'attune-t';
const VERSION = 1;
const HEADER = 32;
const USER = 28;
const EVENT = 5;

/** Which held-out targets of a log a model was trained on. */
export interface Overlap {
  /** Held-out targets in all. */
  targets: number;
  /** Those that trained, or that the model was chosen by (validation), and how many users have some. */
  known: number;
  users: number;
  /** One of those users, for messages. */
  example: string;
  /** Whether times were missing, which tell a repeated item from what trained where a log has lost its oldest events. */
  untimed: boolean;
  /** Users with such targets who have done more since the training: a protocol may hold out what once trained. */
  grown: Uint32Array;
}

/** What is recorded of a user: the latest time, the hashes of what trained and of the validation, events in all. */
interface UserEvents {
  time: number;
  trained: Float64Array;
  validated: Float64Array;
  total: number;
}

/** Users to be recorded, one at a time and in their order, so that only the record itself is in memory. */
interface Source {
  userIds: readonly string[];
  /** Events that trained and those of the validation. */
  sizeOf(u: number): [trained: number, validated: number];
  read(u: number): UserEvents;
}

/** Whether a folder has a record. */
export const isRecorded = async (files: Files): Promise<boolean> => (await Snapshot.open(files)).has(TRAINING);

/** Awaited after each piece of work with the share that is done, 0 to 1; it may throw to stop: nothing is written then. */
type Pause = (done: number) => Promise<void>;

/** Records a training under the split's protocol. */
export async function recordTraining(
  files: Files,
  split: Split,
  seed: number,
  pause: Pause = async () => {},
): Promise<void> {
  const { userIds, itemIds, items, offsets } = split.dataset;
  const hashes = new Hashes(saltOf(seed, userIds), itemIds);
  const times = timesOf(split);
  const sizeOf = (u: number): [number, number] => {
    const [from, to] = split.targetRange(u, 'valid');
    return [split.trainLength(u), to - from];
  };
  const read = (u: number): UserEvents => {
    const events = hashes.ofUser(userIds[u], items.subarray(offsets[u], offsets[u + 1]));
    const length = split.trainLength(u);
    const [from, to] = split.targetRange(u, 'valid');
    const time = times(u);
    let latest = Number.NaN;
    for (let at = 0; at < length; at++) latest = later(latest, time(at));
    for (let at = from; at < to; at++) latest = later(latest, time(at));
    return {
      time: latest,
      trained: events.subarray(0, length),
      validated: events.subarray(from, to),
      total: events.length,
    };
  };
  await commit(files, { [TRAINING]: await encode(hashes, { userIds, sizeOf, read }, 0, pause) });
}

/** Records a training on ratings. @param rounds of the cross-validation, or the one split */
export async function recordRatings(
  files: Files,
  ratings: Ratings,
  rounds: readonly { test: Uint32Array }[],
  seed: number,
  pause: Pause = async () => {},
): Promise<void> {
  const round = new Uint32Array(ratings.size);
  rounds.forEach(({ test }, r) => {
    for (const row of test) round[row] = r + 1;
  });
  const hashes = new Hashes(saltOf(seed, ratings.userIds), ratings.itemIds);
  const { userIds, starts } = ratings;
  const sizeOf = (u: number): [number, number] => [starts[u + 1] - starts[u], 0];
  const read = (u: number): UserEvents => {
    const trained = ratingHashes(hashes, ratings, u, round);
    return { time: Number.NaN, trained, validated: new Float64Array(0), total: trained.length };
  };
  await commit(files, { [TRAINING]: await encode(hashes, { userIds, sizeOf, read }, 1, pause) });
}

/** @returns null where the folder has none (packed, or made by an earlier version) @throws InputError where it is damaged */
export async function loadTraining(files: Files): Promise<TrainingRecord | null> {
  return withSnapshot(files, async (snapshot) => {
    const bytes = await snapshot.read(TRAINING);
    return bytes && new TrainingRecord(bytes, snapshot.pathOf(TRAINING));
  });
}

export class TrainingRecord {
  private readonly view: DataView;
  private readonly salt: [number, number];
  private readonly ratings: boolean;
  /** User's hash → offset of the user's record, offset of the first event. */
  private readonly users = new Map<number, { at: number; events: number }>();

  /** @param file what messages call it */
  constructor(bytes: Uint8Array, file: string) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const { view } = this;
    const u32 = (at: number): number => view.getUint32(at, true);
    const known =
      bytes.length >= HEADER && new TextDecoder().decode(bytes.subarray(0, 8)) === MAGIC && u32(8) === VERSION;
    if (!known)
      throw new InputError('not-a-model', `${file}: not the training record of an Attune model, or of a newer version`);
    const [users, events] = [u32(24), u32(28)];
    const damaged = new InputError('damaged-model', `${file}: damaged; expected ${users} users and ${events} events`);
    if (bytes.length !== HEADER + USER * users + EVENT * events) throw damaged;
    this.ratings = u32(12) === 1;
    this.salt = [u32(16), u32(20)];
    let first = HEADER + USER * users;
    for (let at = HEADER; at < HEADER + USER * users; at += USER) {
      this.users.set(userKey([u32(at), u32(at + 4)]), { at, events: first });
      first += EVENT * (u32(at + 16) + u32(at + 20));
    }
    if (first !== bytes.length) throw damaged;
  }

  /**
   * When the last event of the training or the validation was, in milliseconds since 1970; NaN where no time is known.
   * @param until times after it are no times of events: nothing was trained on that had not happened
   */
  latest(until: number): number {
    let latest = Number.NaN;
    for (const { at } of this.users.values()) {
      const time = this.view.getFloat64(at + 8, true);
      if (time <= until) latest = later(latest, time);
    }
    return latest;
  }

  /** Held-out targets of a log that the model was trained on or, for the test part, chosen by. */
  overlap(split: Split, part: 'valid' | 'test'): Overlap {
    const { userIds, itemIds, items, offsets } = split.dataset;
    const hashes = new Hashes(this.salt, itemIds);
    const times = timesOf(split);
    const found: Overlap = { targets: 0, known: 0, users: 0, example: '', untimed: false, grown: new Uint32Array(0) };
    const grown: number[] = [];
    if (this.ratings) return found;
    for (let u = 0; u < split.users; u++) {
      const [from, to] = split.targetRange(u, part);
      found.targets += to - from;
      const stored = to > from ? this.user(hashes, userIds[u]) : null;
      if (!stored) continue;
      const events = hashes.ofUser(userIds[u], items.subarray(offsets[u], offsets[u + 1]));
      const time = times(u);
      const trained = new Set(stored.trained);
      const validated = new Set(stored.validated);
      const has = (at: number): boolean => trained.has(events[at]) || validated.has(events[at]);
      // IDs may be those of other people in another log: half of what came before must be known, too.
      const matched = range(0, from).filter(has).length;
      if (2 * matched < Math.min(from, trained.size + validated.size)) continue;
      const known = range(from, to).filter((at) => {
        if (time(at) > stored.time) return false; // NaN, unknown, is not later
        return trained.has(events[at]) || (part === 'test' && validated.has(events[at]));
      }).length;
      if (known === 0) continue;
      if (events.length > stored.total) {
        grown.push(u);
        continue;
      }
      found.known += known;
      found.users++;
      found.untimed ||= Number.isNaN(stored.time) || range(from, to).some((at) => Number.isNaN(time(at)));
      found.example ||= userIds[u];
    }
    return { ...found, grown: Uint32Array.from(grown) };
  }

  /** How many events a user had in all when the model was trained; 0 for users that it did not know. */
  readonly eventsOf = (id: string): number => this.user(new Hashes(this.salt, []), id)?.total ?? 0;

  /** Of a log's ratings that are reported as tested (`round` > 0), how many are not what that round held out. */
  untested(ratings: Ratings, round: Uint32Array): number {
    const hashes = new Hashes(this.salt, ratings.itemIds);
    let untested = 0;
    ratings.userIds.forEach((id, u) => {
      const stored = new Set(this.user(hashes, id)?.trained);
      const own = ratingHashes(hashes, ratings, u, round);
      const rows = ratings.order.subarray(ratings.starts[u], ratings.starts[u + 1]);
      rows.forEach((row, i) => {
        if (round[row] > 0 && !stored.has(own[i])) untested++;
      });
    });
    return untested;
  }

  private user(hashes: Hashes, id: string): UserEvents | null {
    const record = this.users.get(userKey(hashes.user(id)));
    if (!record) return null;
    const u32 = (at: number): number => this.view.getUint32(at, true);
    const { at, events } = record;
    const [trained, validated] = [u32(at + 16), u32(at + 20)];
    const all = new Float64Array(trained + validated);
    for (let i = 0, from = events; i < all.length; i++, from += EVENT)
      all[i] = u32(from) + 2 ** 32 * this.view.getUint8(from + 4);
    return {
      time: this.view.getFloat64(at + 8, true),
      trained: all.subarray(0, trained),
      validated: all.subarray(trained),
      total: u32(at + 24),
    };
  }
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
const later = (a: number, b: number): number => (a >= b || Number.isNaN(b) ? a : b);
const userKey = ([high, low]: [number, number]): number => high * 2 ** 21 + (low >>> 11);

/** Of a user's events in their order, when each was, in ms since 1970; NaN where that is unknown. */
function timesOf({ dataset: { clock, offsets } }: Split): (u: number) => (at: number) => number {
  const unit = clock ? milliseconds(clock) : 0;
  if (!clock || unit <= 0) return () => () => Number.NaN;
  return (u) => {
    const times = clock.subarray(offsets[u], offsets[u + 1]);
    return (at) => (times[at] ?? Number.NaN) * unit;
  };
}

/** Of user u's ratings, in their order. */
function ratingHashes(
  hashes: Hashes,
  { order, starts, item, userIds }: Ratings,
  u: number,
  round: Uint32Array,
): Float64Array {
  const rows = order.subarray(starts[u], starts[u + 1]);
  return hashes.ofUser(
    userIds[u],
    Uint32Array.from(rows, (row) => item[row]),
    Uint32Array.from(rows, (row) => round[row]),
  );
}

async function encode(
  { salt, user }: Hashes,
  { userIds, sizeOf, read }: Source,
  kind: 0 | 1,
  pause: Pause,
): Promise<Uint8Array> {
  const users = userIds.length;
  const [high, low] = [new Uint32Array(users), new Uint32Array(users)];
  let events = 0;
  const kept = new GrowableArray((n) => new Uint32Array(n));
  for (const [u, id] of userIds.entries()) {
    const [trained, validated] = sizeOf(u);
    events += trained + validated;
    if (trained + validated > 0) kept.push(u);
    [high[u], low[u]] = user(id);
    await pause((0.1 * u) / users);
  }
  const order = byHash(kept.finish(), high, low);
  const bytes = new Uint8Array(HEADER + USER * order.length + EVENT * events);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  [VERSION, kind, ...salt, order.length, events].forEach((value, i) => {
    view.setUint32(8 + 4 * i, value, true);
  });
  // Where each user's record and events are: the users are read in their own order, which is that of the files.
  const [records, firsts] = [new Float64Array(users), new Float64Array(users)];
  let next = HEADER + USER * order.length;
  for (const [i, u] of order.entries()) {
    const [trained, validated] = sizeOf(u);
    records[u] = HEADER + USER * i;
    firsts[u] = next;
    next += EVENT * (trained + validated);
    await pause(0.1 + (0.1 * i) / order.length);
  }
  for (let u = 0; u < users; u++) {
    if (records[u] > 0) {
      const { time, trained, validated, total } = read(u);
      const at = records[u];
      view.setUint32(at, high[u], true);
      view.setUint32(at + 4, low[u], true);
      view.setFloat64(at + 8, time, true);
      view.setUint32(at + 16, trained.length, true);
      view.setUint32(at + 20, validated.length, true);
      view.setUint32(at + 24, total, true);
      let event = firsts[u];
      for (const list of [trained, validated]) {
        for (const value of list.sort()) {
          view.setUint32(event, value % 2 ** 32, true);
          view.setUint8(event + 4, value / 2 ** 32);
          event += EVENT;
        }
      }
    }
    await pause(0.2 + (0.8 * u) / users);
  }
  return bytes;
}

/** The users by rising hash; a radix sort, since comparing millions of users one with another would take seconds. */
function byHash(users: Uint32Array, high: Uint32Array, low: Uint32Array): Uint32Array {
  let order = users;
  for (const word of [low, high]) {
    for (const shift of [0, 16]) {
      const starts = new Uint32Array(2 ** 16 + 1);
      for (const u of order) starts[((word[u] >>> shift) & 0xffff) + 1]++;
      for (let digit = 0; digit < 2 ** 16; digit++) starts[digit + 1] += starts[digit];
      const sorted = new Uint32Array(order.length);
      for (const u of order) sorted[starts[(word[u] >>> shift) & 0xffff]++] = u;
      order = sorted;
    }
  }
  return order;
}

/** A salt that follows from the seed and the users, so that one training always writes one file. */
function saltOf(seed: number, userIds: readonly string[]): [number, number] {
  let [a, b] = [seed >>> 0, ~seed >>> 0];
  for (const id of userIds) [a, b] = [murmur(a, id), murmur(b, id)];
  return [a, b];
}

/** Hashes of users and events under a salt. */
class Hashes {
  readonly salt: [number, number];
  private readonly items: Uint32Array;
  /** [V] how many times the user at hand has had each item so far. */
  private readonly times: Uint32Array;

  constructor(salt: [number, number], itemIds: readonly string[]) {
    this.salt = salt;
    this.times = new Uint32Array(itemIds.length);
    this.items = new Uint32Array(2 * itemIds.length);
    itemIds.forEach((id, i) => this.items.set(this.user(id), 2 * i));
  }

  /** Two u32 of an ID. */
  readonly user = (id: string): [number, number] => [murmur(this.salt[0], id), murmur(this.salt[1], id)];

  /** 40 bits of each event of a user, given the rows of the items in order, and a tag of each where there is one. */
  ofUser(id: string, items: Uint32Array, tags?: Uint32Array): Float64Array {
    const { times } = this;
    const [a, b] = this.user(id);
    const events = new Float64Array(items.length);
    for (let i = 0; i < items.length; i++) {
      const item = items[i];
      const [high, low, before] = [this.items[2 * item], this.items[2 * item + 1], times[item]++];
      const tag = tags ? tags[i] : 0;
      events[i] = hashed(a, high, low, before, tag) + 2 ** 32 * (hashed(b, high, low, before, tag) >>> 24);
    }
    for (const item of items) times[item] = 0;
    return events;
  }
}

/** The hash of four words. */
const hashed = (seed: number, a: number, b: number, c: number, d: number): number =>
  last(mixed(mixed(mixed(mixed(seed, a), b), c), d), 4);

/** MurmurHash3 (Appleby 2011, x86, 32 bits) of a text, its code units as words. */
function murmur(seed: number, text: string): number {
  let h = seed;
  for (let i = 0; i < text.length; i++) h = mixed(h, text.charCodeAt(i));
  return last(h, text.length);
}

/** One word into the hash. */
function mixed(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const h = hash ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

/** The hash of so many words. */
function last(hash: number, words: number): number {
  let h = hash ^ words;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
