/** `attune federate`: the coordinator of federated rounds. */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { InputError } from '../../data/errors.ts';
import { join } from '../../model/storage/files.ts';
import { holdsModel } from '../../model/storage/folder.ts';
import { copyModel, packModel } from '../../model/storage/pack.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { lockFolder } from '../../recommend/sources/lock.node.ts';
import { openModelInNode, openPath } from '../../recommend/sources/sources.node.ts';
import { serveFederation } from '../../server/federation/serve.ts';
import { clientsCut } from '../../train/federated/aggregate.ts';
import { untrainedModel } from '../../train/federated/catalog.ts';
import { Coordinator } from '../../train/federated/coordinator.ts';
import type { RoundInfo } from '../../train/federated/protocol.ts';
import { checkTerms, DELTA, type FederationTerms, privacyOf } from '../../train/federated/terms.ts';
import { onInterrupt, Output } from '../common.ts';
import { InterruptedError, UsageError } from '../errors.ts';
import { openItems } from '../input/data.ts';
import { readKeys, readTls } from '../input/listening.ts';
import { formatCount } from '../output/ui.ts';
import type { FederateFlags } from './federate.flags.ts';

/** Milliseconds that clients have to learn that all rounds are over. */
const FAREWELL = 5000;

export async function runFederate(flags: FederateFlags): Promise<void> {
  const out = new Output();
  const { host, port, cors, deadline } = flags;
  const { rounds, clients, leastClients, steps, rate, clip, noise, trim, server: step, serverRate } = flags;
  const terms = checkTerms({
    rounds,
    clients,
    leastClients: leastClients ?? clients,
    steps,
    rate,
    clip,
    noise,
    trim,
    server: step,
    serverRate,
  });
  const tls = await readTls(flags);
  const keys = await readKeys(flags.keys);
  const files = await startFolder(flags);
  const lock = await lockFolder(flags.out);
  const interrupt = onInterrupt(() => out.warn('stopping; what was accepted is saved, and the same command continues'));
  try {
    const said = progressOf(out);
    const server = await serveFederation({
      files,
      terms,
      host,
      port,
      keys,
      cors,
      log: 'warn',
      tls,
      deadline: deadline === undefined ? undefined : 1000 * deadline,
      onProgress: said,
    });
    const { round } = server.coordinator.info;
    out.warn(`coordinating ${flags.out} on ${server.address}, round ${round} of ${rounds}; Ctrl-C stops`);
    out.note(describePrivacy(terms));
    if (clientsCut(trim, clients) === 0)
      out.warn(
        `rows are not cut (--trim ${trim} of ${formatCount(clients)} clients): one hostile client can move the row of an item`,
      );
    if (!keys)
      out.warn('without --keys only this machine may take part, and whoever does may do so more than once a round');
    const stopped = new Promise<void>((resolve) => interrupt.signal.addEventListener('abort', () => resolve()));
    await Promise.race([server.done, stopped]);
    if (!interrupt.signal.aborted) await Promise.race([sleep(FAREWELL), stopped]);
    await server.close();
    const { info } = server.coordinator;
    if (!info.done)
      throw new InterruptedError(
        `stopped in round ${info.round} with ${info.received} updates; the same command continues`,
      );
    out.line(`All ${formatCount(terms.rounds)} rounds are over. The model is in ${flags.out}.`);
  } finally {
    interrupt.end();
    await lock.release();
  }
}

/** The folder with the model that all share: continued, or made of a model or a catalog. */
async function startFolder(flags: FederateFlags): Promise<NodeFiles> {
  const { model, items, overwrite, recipe, set, seed } = flags;
  if (existsSync(flags.out) && !overwrite) {
    const files = await NodeFiles.open(flags.out);
    if (await Coordinator.holds(files)) return files;
    if (await holdsModel(files))
      throw new InputError('already-exists', `${flags.out}: already holds a model, and no federation`, {
        hint: 'choose another --out, or add --overwrite',
      });
  }
  if ((model === undefined) === (items === undefined))
    throw new UsageError('expected --model PATH to start from, or --items PATH to start from nothing');
  if (model !== undefined && (recipe !== undefined || set.size > 0))
    throw new UsageError('--recipe and --set require --items: a model has its own');
  if (items !== undefined) {
    const catalog = Array.from(await openItems(items), ([id, info]) => ({ id, ...info }));
    const files = await NodeFiles.create(flags.out);
    await forget(files);
    const settings = Object.fromEntries(set);
    await untrainedModel(files, catalog, { recipe, settings, seed, source: items, overwrite });
    return files;
  }
  // Without the checkpoint, from which a training of its own would continue.
  const packed = join(await packModel(await openPath(model as string)));
  const files = await NodeFiles.create(flags.out);
  await forget(files);
  await copyModel(await openModelInNode(packed), files, { overwrite });
  return files;
}

/** Removes what an earlier federation has left. */
async function forget(files: NodeFiles): Promise<void> {
  for (const name of await files.list()) if (/^(federation\.|round-\d)/.test(name)) await files.remove(name);
}

/** What the noise is worth to a client that takes part in every round. */
function describePrivacy(terms: FederationTerms): string {
  if (terms.noise === 0) return 'no noise: an update shows the coordinator most of its history (docs/federated.md)';
  const { updates, published } = privacyOf(terms, terms.rounds);
  const shown = (epsilon: number): string => (Number.isFinite(epsilon) ? epsilon.toPrecision(3) : 'infinite');
  const models =
    published === null ? 'nothing is claimed where rows are cut (--trim 0)' : `epsilon ${shown(published)}`;
  return `a client in all ${formatCount(terms.rounds)} rounds spends, at delta ${DELTA}: by its updates epsilon ${shown(updates)}, by the published models ${models}`;
}

/** A line for each round, and on a terminal for each update. */
function progressOf(out: Output): (info: RoundInfo) => void {
  let last = 0;
  return ({ round, done, received, terms }) => {
    if (round !== last && last > 0) out.note(`round ${last} of ${terms.rounds} is published`);
    if (!done && received > 0) out.note(`round ${round}: ${received} of ${terms.clients} updates`);
    last = round;
  };
}
