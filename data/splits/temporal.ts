/** The global cut in time: all users' events before it train, those after it are predicted. */
import { inMemory } from '../column.ts';
import type { Dataset } from '../dataset.ts';
import { InputError, option } from '../errors.ts';
import type { Protocol } from './protocol.ts';
import { emptyBounds, type SplitBounds } from './bounds.ts';

const asked = { setting: 'protocol', value: 'temporal' };

/**
 * Cuts a dataset at two times, the same for all users: validation starts at `validFrom`, test at `testFrom`. They are
 * quantiles of the log's times unless the protocol names them, as a model's config does: the same model on a longer log
 * is cut where it was trained. Events exactly at a cut come after it; events of unknown time train.
 *
 * With `targets=first` a user's target is the first event of the part, predicted from all events before it, including
 * those since the model was trained, which it reads. One target per user weights users equally and keeps the paired tests
 * independent. With `targets=all` the targets are all of the user's events in the part, from the same history, as a set.
 *
 * Users without an event before the cut are cold. Nothing can be predicted from an empty history: their first event is
 * taken as the history, so that their second is the first target.
 *
 * @throws InputError without a time column, or with one that has no common clock
 */
export function temporalBounds(
  dataset: Dataset,
  protocol: Protocol,
  source: string,
): { bounds: SplitBounds; resolved: Protocol } {
  const { offsets } = dataset;
  const times = dataset.clock && inMemory(dataset.clock);
  const elsewhere = `or choose ${option('protocol', 'leave-one-out')} or ratio`;
  if (!times) {
    throw new InputError('missing-column', `${source}: no time column, which this protocol requires`, {
      ...asked,
      hint: `name it with ${option('columns.time', 'NAME')}, ${elsewhere}`,
    });
  }
  if (countsOwnEvents(offsets, times)) {
    throw new InputError(
      'missing-column',
      `${source}: a common clock is required, but the time column counts each user's own interactions`,
      { ...asked, hint: `name another with ${option('columns.time', 'NAME')}, ${elsewhere}` },
    );
  }
  const resolved = resolveCuts(times, protocol, source);
  const validCut = resolved.parameters.validFrom as number;
  const testCut = resolved.parameters.testFrom as number;
  const all = resolved.parameters.targets === 'all';
  const users = offsets.length - 1;
  const b = emptyBounds(users);
  for (let u = 0; u < users; u++) {
    const own = times.subarray(offsets[u], offsets[u + 1]);
    const { length } = own;
    const before = (cut: number): number => {
      const n = own.findIndex((time) => time >= cut);
      return n < 0 ? length : n;
    };
    const train = before(validCut);
    const known = before(testCut);
    const validFrom = Math.min(Math.max(1, train), known);
    const testFrom = Math.min(Math.max(1, known), length);
    b.train[u] = train;
    b.validFrom[u] = validFrom;
    b.validTo[u] = all ? known : Math.min(validFrom + 1, known);
    b.testFrom[u] = testFrom;
    b.testTo[u] = all ? length : Math.min(testFrom + 1, length);
  }
  return { bounds: b, resolved };
}

/** Adds the cuts to the parameters where they are not there yet. */
function resolveCuts(times: Float64Array, protocol: Protocol, source: string): Protocol {
  const { parameters } = protocol;
  if (parameters.validFrom !== undefined) return protocol;
  const sorted = times.filter((time) => !Number.isNaN(time)).sort();
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share + 1e-9))] ?? Number.NaN;
  const [valid, test] = [parameters.valid as number, parameters.test as number];
  const validFrom = at(1 - valid - test);
  const testFrom = at(1 - test);
  if (!(at(0) < validFrom && validFrom < testFrom)) {
    throw new InputError(
      'too-little-data',
      `${source}: there are no two times to cut at: too many interactions share the time ${testFrom}`,
      {
        ...asked,
        hint: `set other shares (temporal:valid=...,test=...) or choose ${option('protocol', 'leave-one-out')} or ratio`,
      },
    );
  }
  return { name: protocol.name, parameters: { ...parameters, validFrom, testFrom } };
}

/**
 * Whether the times number each user's own events (0, 1, 2, …) rather than read a clock: most histories of two or more
 * events start at the log's earliest time and go up by one.
 */
function countsOwnEvents(offsets: Uint32Array, times: Float64Array): boolean {
  let earliest = Number.POSITIVE_INFINITY;
  for (const time of times) if (time < earliest) earliest = time;
  let histories = 0;
  let counted = 0;
  for (let u = 0; u + 1 < offsets.length; u++) {
    const own = times.subarray(offsets[u], offsets[u + 1]).filter((time) => !Number.isNaN(time));
    const [first, last] = [own[0], own.at(-1)];
    if (first === undefined || last === undefined || own.length < 2) continue;
    histories++;
    // A filter may have dropped some events.
    const starts = first - earliest <= Math.max(2, own.length / 10);
    const steps = last - first <= 1.5 * own.length;
    const rises = own.every((time, i) => i === 0 || time > (own[i - 1] as number));
    if (starts && steps && rises) counted++;
  }
  return histories > 1 && counted > histories / 2;
}
