/**
 * Injected profiles, as an attacker adds them to a log to have an item recommended (a push attack): the classic kinds of
 * collaborative filtering (Mobasher et al., ACM TOIT 2007) without ratings, and one for sequences. Every profile has the
 * target once and fillers around it; the kinds differ in the fillers alone. Lengths and times are those of honest users.
 */
import { byUser, countsOf } from '../../data/by-user.ts';
import { InputError } from '../../data/errors.ts';
import type { Log } from '../../data/log.ts';
import { type Random, seeded } from '../../data/random.ts';
import { examples } from '../side-features.ts';

export interface InjectionOptions {
  /** ID of the item that is pushed. */
  item: string;
  kind: ProfileKind;
  /** Profiles for each honest user of the log, rounded to at least one profile; 0.01 by default. */
  size?: number;
  seed?: number;
  /** Events of a profile at least, so that no filter removes it (5 by default), and at most (50 by default). */
  shortest?: number;
  longest?: number;
  /** IDs of the fillers of the kind `segment`: by default the items that share most users with the target. */
  segment?: readonly string[];
}

export interface Injected {
  /** The log with the profiles at its end. */
  log: Log;
  /** IDs of the injected users. */
  users: string[];
}

/** What an attacker knows: the log. */
interface Known {
  random: Random;
  target: number;
  /** [V] events. */
  counts: Uint32Array;
  /** Items by falling count. */
  popular: Uint32Array;
  segment: Uint32Array;
}

interface Kind {
  help: string;
  /** At most `n` items other than the target. @param run n consecutive items of an honest user */
  fillers(known: Known, n: number, run: readonly number[]): number[];
  /** Where the target goes, before the fillers at this index; anywhere by default. */
  place?(known: Known, fillers: readonly number[]): number;
}

/** Share of the catalog that counts as most popular, and how many items at least. */
const POPULAR = 0.01;
const POPULAR_LEAST = 20;
/** Fillers of a segment. */
const SEGMENT = 50;
/** Events at the end of a profile that are never the target: leave-one-out would hold it out of the training. */
const HELD_OUT = 2;
const STREAM = 0xa77ac;

const uniformly = ({ random, counts }: Known) => random.below(counts.length);

export const FILLERS = {
  random: {
    help: 'fillers drawn from all items alike',
    fillers: (known, n) => distinct(known, n, () => uniformly(known)),
  },
  average: {
    help: 'fillers drawn by popularity, as an average user has them',
    fillers(known, n) {
      const { random, counts } = known;
      const total = counts.reduce((sum, count) => sum + count, 0);
      return distinct(known, n, () => random.pick(counts, total));
    },
  },
  bandwagon: {
    help: 'half of the fillers from the most popular items, half from all',
    fillers(known, n) {
      const { random, popular, counts } = known;
      const top = Math.min(counts.length, Math.max(POPULAR_LEAST, Math.round(POPULAR * counts.length)));
      return distinct(known, n, (i) => (i % 2 === 0 ? popular[random.below(top)] : uniformly(known)));
    },
  },
  segment: {
    help: 'fillers from the items that share most users with the target, or from a segment that is named',
    fillers: (known, n) =>
      distinct(known, n, () => known.segment[known.random.below(known.segment.length)], known.segment.length),
  },
  sequential: {
    help: 'a run of an honest history, the target after its most popular item',
    fillers: ({ target }, _, run) => run.filter((item) => item !== target),
    place({ counts }, fillers) {
      let at = 0;
      for (let i = 1; i < fillers.length - HELD_OUT; i++) if (counts[fillers[i]] > counts[fillers[at]]) at = i;
      return at + 1;
    },
  },
} satisfies Record<string, Kind>;

export type ProfileKind = keyof typeof FILLERS;
export const PROFILE_KINDS = Object.keys(FILLERS) as ProfileKind[];

/** At most n different items other than the target. @param draw the i-th one @param most different items that it may give */
function distinct({ target, counts }: Known, n: number, draw: (i: number) => number, most = counts.length): number[] {
  const items = new Set<number>();
  // Popular items come again and again: a draw that cannot end is given up.
  for (let tries = 0; items.size < Math.min(n, most) && tries < 100 * n; tries++) {
    const item = draw(items.size);
    if (item !== target) items.add(item);
  }
  return [...items];
}

/**
 * The log with injected profiles, `attack-1` and so on. A filler takes its rating and context from an honest event of the
 * item; the target has the highest rating of the log. Seeded.
 *
 * @throws InputError where the log lacks the item, or has no user to imitate
 */
export function injectProfiles(log: Log, options: InjectionOptions): Injected {
  const { item, kind, size = 0.01, seed = 1, shortest = 5, longest = 50 } = options;
  if (!(size > 0 && size <= 1))
    throw new InputError('invalid-value', `expected a share above 0, up to 1, got ${size}`, { setting: 'size' });
  const random = seeded(seed, STREAM);
  const target = rowOf(log, item, 'item');
  const { order, starts } = byUser(log.user, log.userIds.length, log.time);
  const donors = log.userIds.flatMap((_, u) => (between(starts, u) >= shortest ? [u] : []));
  if (donors.length === 0)
    throw new InputError('too-little-data', `${log.source}: no user has ${shortest} events, as a profile must have`);
  const counts = countsOf(log.item, log.itemIds.length);
  const popular = Uint32Array.from(counts.keys()).sort((a, b) => counts[b] - counts[a] || a - b);
  const segment = options.segment
    ? Uint32Array.from(options.segment, (id) => rowOf(log, id, 'segment'))
    : kind === 'segment'
      ? neighborsOf(log, target, counts)
      : new Uint32Array(0);
  const known: Known = { random, target, counts, popular, segment };
  const { fillers: fill, place = anywhere }: Kind = FILLERS[kind];

  const profiles: { items: number[]; times: number[] }[] = [];
  for (let p = 0; p < Math.max(1, Math.round(size * log.userIds.length)); p++) {
    const donor = donors[random.below(donors.length)];
    const length = Math.min(longest, between(starts, donor));
    const from = starts[donor] + random.below(between(starts, donor) - length + 1);
    const rows = Array.from(order.subarray(from, from + length));
    const items = fill(
      known,
      length - 1,
      rows.slice(0, -1).map((row) => log.item[row]),
    );
    items.splice(place(known, items), 0, target);
    profiles.push({ items, times: rows.map((row) => log.time?.[row] ?? Number.NaN) });
  }
  return append(log, profiles, target, random);
}

const between = (starts: Uint32Array, u: number): number => starts[u + 1] - starts[u];

/** Neither first nor held out, where there is room. */
const anywhere = ({ random }: Known, { length }: readonly number[]): number =>
  length > HELD_OUT ? 1 + random.below(length - HELD_OUT) : 0;

/** @throws InputError */
function rowOf({ itemIds, source }: Log, id: string, setting: string): number {
  const row = itemIds.indexOf(id);
  if (row >= 0) return row;
  throw new InputError('unknown-id', `${source}: no item ${JSON.stringify(id)}; its items are ${examples(itemIds)}`, {
    setting,
  });
}

/** The items that share most users with the target, by cosine. @throws InputError where its users have nothing else */
function neighborsOf(log: Log, target: number, counts: Uint32Array): Uint32Array {
  const has = new Uint8Array(log.userIds.length);
  for (let row = 0; row < log.size; row++) if (log.item[row] === target) has[log.user[row]] = 1;
  const shared = new Float64Array(counts.length);
  for (let row = 0; row < log.size; row++) if (has[log.user[row]]) shared[log.item[row]]++;
  const cosine = shared.map((n, i) => (i === target ? 0 : n / Math.sqrt(counts[i])));
  const found = Uint32Array.from(cosine.keys())
    .filter((i) => cosine[i] > 0)
    .sort((a, b) => cosine[b] - cosine[a] || a - b);
  if (found.length === 0)
    throw new InputError(
      'too-little-data',
      `${log.source}: the users of the item have no other, so that nothing is near it`,
      {
        hint: 'name the segment',
      },
    );
  return found.slice(0, SEGMENT);
}

function append(log: Log, profiles: { items: number[]; times: number[] }[], target: number, random: Random): Injected {
  const users = profiles.map((_, p) => `attack-${p + 1}`);
  const taken = new Set(log.userIds);
  const known = users.find((id) => taken.has(id));
  if (known !== undefined)
    throw new InputError('already-exists', `${log.source}: has a user ${known} already`, {
      hint: 'take the log without injected profiles',
    });
  const { order, starts } = byUser(log.item, log.itemIds.length, null);
  const events = profiles.flatMap(({ items, times }, p) =>
    items.map((item, i) => {
      const row = order[starts[item] + random.below(between(starts, item))];
      return { user: log.userIds.length + p, item, time: times[i], row };
    }),
  );
  const highest = log.rating?.reduce((a, b) => (Number.isNaN(b) || a >= b ? a : b), Number.NaN) ?? Number.NaN;
  const { rating, time, context } = log;
  const longer = <A extends Uint32Array | Float64Array>(
    column: A,
    of: (event: (typeof events)[number]) => number,
  ): A => {
    const values = new (column.constructor as new (n: number) => A)(log.size + events.length);
    values.set(column);
    events.forEach((event, i) => {
      values[log.size + i] = of(event);
    });
    return values;
  };
  const { fresh: _, ...rest } = log;
  return {
    users,
    log: {
      ...rest,
      userIds: log.userIds.concat(users),
      user: longer(log.user, ({ user }) => user),
      item: longer(log.item, ({ item }) => item),
      rating: rating && longer(rating, ({ item, row }) => (item === target ? highest : rating[row])),
      time: time && longer(time, (event) => event.time),
      ...(context && {
        context: context.map((column) => ({ ...column, rows: longer(column.rows, ({ row }) => column.rows[row]) })),
      }),
      size: log.size + events.length,
    },
  };
}
