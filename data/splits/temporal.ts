/** The global cut in time: everybody's events before it train, those after it are predicted. */
import type { Dataset } from '../dataset.ts';
import { InputError, option } from '../errors.ts';
import type { Protocol } from './protocol.ts';
import type { SplitBounds } from './split.ts';

const asked = { setting: 'protocol', value: 'temporal' };

/**
 * Cuts a dataset at two moments, for everybody the same: validation begins at `validFrom`, test at `testFrom`. They are
 * quantiles of the log's times unless the protocol names them, as a model's config does: the same model on a longer log
 * is cut where it was trained. Events at the very moment of a cut come after it; events of unknown time train.
 *
 * With `targets=first` a user's target is the first event of the part, from all that came before it: by then the model
 * has been trained, and what it has not seen of this user is their own past since then, which it reads. One target a
 * user keeps users equally important and the paired tests independent. `targets=all` asks for everything that the
 * user does in the part, from the same history, as a set.
 *
 * Users without an event before the cut are cold. Nothing can be predicted from nothing: their first event is taken as
 * the history, so that their second is the first target.
 *
 * @throws InputError without a time column, or with one that has no common clock
 */
export function temporalBounds(
  dataset: Dataset,
  protocol: Protocol,
  source: string,
): { bounds: SplitBounds; resolved: Protocol } {
  const { offsets, clock: times } = dataset;
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
  const make = () => new Uint32Array(users);
  const b: SplitBounds = { train: make(), validFrom: make(), validTo: make(), testFrom: make(), testTo: make() };
  for (let u = 0; u < users; u++) {
    const length = offsets[u + 1] - offsets[u];
    const before = (cut: number): number => {
      let n = 0;
      while (n < length && !(times[offsets[u] + n] >= cut)) n++;
      return n;
    };
    const train = before(validCut);
    const known = before(testCut);
    b.train[u] = train;
    const [validFrom, testFrom] = [Math.max(1, train), Math.max(1, known)];
    b.validFrom[u] = Math.min(validFrom, known);
    b.validTo[u] = validFrom < known ? (all ? known : validFrom + 1) : b.validFrom[u];
    b.testFrom[u] = Math.min(testFrom, length);
    b.testTo[u] = testFrom < length ? (all ? length : testFrom + 1) : b.testFrom[u];
  }
  return { bounds: b, resolved };
}

/** Adds the cuts to the parameters where they are not there yet. */
function resolveCuts(times: Float64Array, protocol: Protocol, source: string): Protocol {
  const { parameters } = protocol;
  if (parameters.validFrom !== undefined) return protocol;
  const sorted = times.filter((time) => !Number.isNaN(time)).sort();
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share + 1e-9))];
  const [valid, test] = [parameters.valid as number, parameters.test as number];
  const validFrom = at(1 - valid - test);
  const testFrom = at(1 - test);
  if (!(sorted[0] < validFrom && validFrom < testFrom)) {
    throw new InputError(
      'too-little-data',
      `${source}: there are no two moments to cut at: too many interactions share the time ${testFrom}`,
      {
        ...asked,
        hint: `set other shares (temporal:valid=...,test=...) or choose ${option('protocol', 'leave-one-out')} or ratio`,
      },
    );
  }
  return { name: protocol.name, parameters: { ...parameters, validFrom, testFrom } };
}

/**
 * Whether the times are each user's own count (0, 1, 2, …) rather than a clock: most histories of two events or more
 * begin at the log's earliest time and go up by one.
 */
function countsOwnEvents(offsets: Uint32Array, times: Float64Array): boolean {
  let earliest = Number.POSITIVE_INFINITY;
  for (const time of times) if (time < earliest) earliest = time;
  let histories = 0;
  let counted = 0;
  for (let u = 0; u + 1 < offsets.length; u++) {
    const own = times.subarray(offsets[u], offsets[u + 1]).filter((time) => !Number.isNaN(time));
    if (own.length < 2) continue;
    histories++;
    // A filter may have dropped some events.
    const begins = own[0] - earliest <= Math.max(2, own.length / 10);
    const steps = own[own.length - 1] - own[0] <= 1.5 * own.length;
    if (begins && steps && own.every((time, i) => i === 0 || time > own[i - 1])) counted++;
  }
  return histories > 1 && counted > histories / 2;
}
