/** Runs a federation: listens, closes rounds at their deadline, and ends when all rounds are over. */
import type { AddressInfo } from 'node:net';
import { InputError } from '../../data/errors.ts';
import type { Files } from '../../model/storage/files.ts';
import { Coordinator } from '../../train/federated/coordinator.ts';
import type { RoundInfo } from '../../train/federated/protocol.ts';
import type { FederationTerms } from '../../train/federated/terms.ts';
import { checkListening, listen } from '../http/listen.ts';
import { drainable } from '../http/drain.ts';
import { isLoopback } from '../http/protect.ts';
import { buildFederationApp, type FederationAppOptions } from './app.ts';

export interface FederationOptions extends Pick<FederationAppOptions, 'keys' | 'cors' | 'log' | 'tls'> {
  /** The folder of the shared model; see {@link Coordinator.open}. */
  files: Files;
  terms: FederationTerms;
  host: string;
  port: number;
  /** Milliseconds after which a round closes with `leastClients` updates; without it, it waits for all. */
  deadline?: number;
  /** Each update, and each round. */
  onProgress?(info: RoundInfo): void;
}

export interface FederationServer {
  address: string;
  coordinator: Coordinator;
  /** Resolves when all rounds are over. */
  done: Promise<void>;
  close(): Promise<void>;
}

/** Milliseconds that requests in flight have to finish in. */
const DRAIN_MS = 5000;

/** Resolves when it listens. @throws InputError where the model, the terms or an option cannot be used */
export async function serveFederation(options: FederationOptions): Promise<FederationServer> {
  const { files, terms, host, port, keys, deadline, cors, log, tls } = options;
  if (!keys && !isLoopback(host))
    throw new InputError('conflicting-settings', 'without keys the coordinator is for this machine alone', {
      setting: 'host',
      value: host,
      hint: 'add keys (attune keys add), or leave the host out',
    });
  checkListening({ version: '', log, cors, tls });
  const coordinator = await Coordinator.open(files, terms);
  let end = (): void => {};
  const done = new Promise<void>((resolve) => {
    end = resolve;
  });
  let timer: NodeJS.Timeout | undefined;
  /** The round that the timer runs for. */
  let timed = 0;
  const look = (): void => {
    const { info } = coordinator;
    options.onProgress?.(info);
    if (info.done) return end();
    if (deadline !== undefined && info.round !== timed) wait(info.round, deadline);
  };
  const wait = (round: number, ms: number): void => {
    timed = round;
    clearTimeout(timer);
    timer = setTimeout(async () => {
      // Too few came: the round stays open for as long again.
      if (!(await coordinator.closeEarly(round))) return wait(coordinator.info.round, ms);
      look();
    }, ms);
  };
  const app = await buildFederationApp({ coordinator, files, keys, cors, log, tls, onAccepted: look });
  const drain = drainable(app);
  const close = async (): Promise<void> => {
    clearTimeout(timer);
    await drain.drain(DRAIN_MS);
    await app.close();
  };
  try {
    await listen(app, host, port);
  } catch (error) {
    await close();
    throw error;
  }
  const { address: bound, port: number, family } = app.server.address() as AddressInfo;
  const address = `${tls ? 'https' : 'http'}://${family === 'IPv6' ? `[${bound}]` : bound}:${number}`;
  look();
  return { address, coordinator, done, close };
}
