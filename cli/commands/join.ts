/** `attune join`: a client of federated rounds. */
import { InputError } from '../../data/errors.ts';
import { joinFederation, type JoinResult } from '../../train/federated/join.ts';
import { Stopped } from '../../train/loop/time-budget.ts';
import { examples } from '../../train/side-features.ts';
import { onInterrupt, openDevice, Output } from '../common.ts';
import { InterruptedError } from '../errors.ts';
import { columnsOf, historyOf, openLog, readText } from '../input/data.ts';
import { formatCount } from '../output/ui.ts';
import type { JoinFlags } from './join.flags.ts';

export async function runJoin(flags: JoinFlags, url: string): Promise<void> {
  const out = new Output(flags.json);
  const { data, maxBadRows, progress, rounds, leastNoise, keyFile } = flags;
  requireAddress(url);
  const key = keyFile === undefined ? undefined : (await readText(keyFile)).trim();
  const log = await openLog(data, { columns: columnsOf(flags), maxBadRows }, progress);
  const { userIds } = log;
  if (flags.user === undefined && userIds.length > 1)
    throw new InputError('conflicting-settings', `${data}: has ${userIds.length} users (${examples(userIds)})`, {
      hint: 'name one with --user ID',
    });
  const { history, times } = historyOf(log, flags.user ?? userIds[0], null);
  const device = await openDevice(flags.device, out);
  const interrupt = onInterrupt(() => out.warn('leaving; the rounds go on without this client'));
  try {
    const result = await joinFederation(url, {
      history,
      times,
      rounds,
      leastNoise,
      key,
      device,
      signal: interrupt.signal,
      onRound: ({ round, loss, norm, refused }) =>
        refused === null
          ? out.note(`round ${round}: loss ${loss.toFixed(4)}, norm of the change ${norm.toPrecision(3)}; sent`)
          : out.warn(`round ${round}: not taken: ${refused}`),
    });
    report(result, out);
  } catch (error) {
    if (error instanceof Stopped) throw new InterruptedError('left the federation');
    throw error;
  } finally {
    interrupt.end();
    device.close();
  }
}

function requireAddress(url: string): void {
  if (URL.canParse(url) && /^https?:/.test(url)) return;
  throw new InputError('invalid-value', `${url}: expected the address of a coordinator, as http://127.0.0.1:8090`);
}

function report({ terms, events, unknown, rounds }: JoinResult, out: Output): void {
  out.object({ terms, events, unknown, rounds });
  const taken = rounds.filter(({ refused }) => refused === null).length;
  out.line(
    `Took part in ${formatCount(taken)} rounds with ${formatCount(events)} events${unknown > 0 ? ` (${formatCount(unknown)} of items that the model does not know are left out)` : ''}.`,
  );
}
