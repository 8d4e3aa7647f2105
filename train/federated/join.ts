/**
 * Taking part in a federation over HTTP, from a page or from Node: `fetch` and nothing else. The history stays where it is;
 * what leaves is one update a round.
 */
import { InputError } from '../../data/errors.ts';
import { Device, type DeviceOptions } from '../../engine/index.ts';
import { encodeQuery } from '../../model/inference/query.ts';
import { settingsOf } from '../../model/inference/ranking-model.ts';
import { ArchiveFiles, rangesOf } from '../../model/storage/archive.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { Stopped } from '../loop/time-budget.ts';
import { addNoise, clipNorm, type RandomBytes, systemRandom } from './clip.ts';
import { LocalTrainer, requireFederated } from './local.ts';
import { decodeWeights, encodeUpdate, type RoundInfo, roundInfoCheck } from './protocol.ts';
import { type FederationTerms, noiseOf } from './terms.ts';

/** Where a coordinator has what. */
export const FEDERATION_PATHS = {
  info: '/v1/federation',
  model: '/v1/federation/model.attune',
  weights: '/v1/federation/weights',
  tickets: '/v1/federation/tickets',
  updates: '/v1/federation/updates',
} as const;

export interface JoinOptions {
  /** Item IDs, oldest first; those that the model does not know are left out. */
  history: readonly string[];
  /** When each event was, for models that read it. */
  times?: readonly number[];
  /** Rounds to take part in, at most; all by default. */
  rounds?: number;
  /** Refuse a federation whose noise multiplier is lower. */
  leastNoise?: number;
  /** An API key (`attune keys add`), where the coordinator asks for one. */
  key?: string;
  /** A device to share, which stays open; or which one to open. */
  device?: Device | DeviceOptions['backend'];
  signal?: AbortSignal;
  onRound?(round: TakenRound): void;
  /** Milliseconds between two looks at whether the next round is open; 1000 by default. */
  pause?: number;
  /** Default: the global one. */
  fetch?: typeof fetch;
}

/** A round that a client has taken part in, or why not. */
export interface TakenRound {
  round: number;
  /** Of the client's last step, before the update is clipped. */
  loss: number;
  /** Norm of the change before clipping. */
  norm: number;
  /** Why the coordinator did not take the update; null where it did. */
  refused: string | null;
}

export interface JoinResult {
  terms: FederationTerms;
  /** Events that were trained on, and those of items that the model does not know. */
  events: number;
  unknown: number;
  rounds: TakenRound[];
}

/**
 * Trains in the rounds of a federation until all are over.
 * @param url of the coordinator: `http://127.0.0.1:8090`
 * @throws InputError, one line, where the coordinator does not answer, or the history has fewer than two events that it knows
 * @throws Stopped by the signal
 */
export async function joinFederation(url: string, options: JoinOptions): Promise<JoinResult> {
  const { history, times, rounds: most = Number.POSITIVE_INFINITY, leastNoise = 0, pause = 1000, onRound } = options;
  const coordinator = new Connection(url, options);
  const first = await coordinator.info();
  const { terms } = first;
  if (terms.noise < leastNoise)
    throw new InputError('conflicting-settings', `${url} asks for a noise multiplier of ${terms.noise}`, {
      setting: 'leastNoise',
      value: leastNoise,
    });
  const files = await ArchiveFiles.open(rangesOf(await coordinator.bytes('model')), url);
  const { config, items } = await loadModel(files);
  const settings = settingsOf({ config });
  requireFederated(settings, config);
  const rows = new Map(items.map(({ id }, row) => [id, row]));
  const own = encodeQuery({ rows, encoder: null }, { history, times });
  const given = options.device;
  const device = given instanceof Device ? given : await Device.open({ backend: given });
  const trainer = new LocalTrainer(device, settings, items.length);
  const taken: TakenRound[] = [];
  try {
    for (let last = 0; taken.length < most; ) {
      const info = await coordinator.info();
      if (info.federation !== first.federation)
        throw new InputError('mismatched-data', `${url}: another federation has started there`);
      if (info.done) break;
      if (info.round === last) {
        await sleep(pause, options.signal);
        continue;
      }
      last = info.round;
      const round = await takePart(coordinator, trainer, own, info.terms);
      if (round === null) continue;
      taken.push(round);
      onRound?.(round);
    }
  } finally {
    trainer.dispose();
    if (device !== given) device.close();
  }
  return { terms, events: own.history.length, unknown: own.unknown.length, rounds: taken };
}

/** One round: ticket, weights, steps, update. null where the round closed before there was a ticket. */
async function takePart(
  coordinator: Connection,
  trainer: LocalTrainer,
  own: { history: Uint32Array; times?: Uint32Array },
  terms: FederationTerms,
): Promise<TakenRound | null> {
  const given = await coordinator.ticket();
  if (given === null) return null;
  const { values, stamp } = decodeWeights(await coordinator.bytes('weights'), trainer.shapes);
  if (stamp.round !== given.round) return null;
  const { update, loss, norm } = await makeUpdate(trainer, values, own, terms);
  const message = encodeUpdate(update, trainer.shapes, { ...stamp, ticket: given.ticket });
  return { round: stamp.round, loss, norm, refused: await coordinator.send(message) };
}

/** A client's update: its change, clipped, with its part of the noise. @param seed of windows and dropout; drawn by default */
export async function makeUpdate(
  trainer: LocalTrainer,
  shared: ReadonlyMap<string, Float32Array>,
  own: { history: Uint32Array; times?: Uint32Array },
  terms: FederationTerms,
  { seed, random = systemRandom }: { seed?: number; random?: RandomBytes } = {},
) {
  const drawn = new Uint32Array(1);
  if (seed === undefined) systemRandom(new Uint8Array(drawn.buffer));
  const { steps, rate, clip } = terms;
  const { change: update, loss } = await trainer.train(shared, own, { steps, rate, seed: seed ?? drawn[0] });
  const norm = clipNorm(update, clip);
  addNoise(update, noiseOf(terms), random);
  return { update, loss, norm };
}

/** What the coordinator answers to. */
class Connection {
  private readonly base: string;
  private readonly headers: Record<string, string>;
  private readonly signal: AbortSignal | undefined;
  private readonly fetch: typeof fetch;

  constructor(url: string, { key, signal, fetch: given }: JoinOptions) {
    this.base = url.replace(/\/+$/, '');
    this.headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
    this.signal = signal;
    this.fetch = given ?? globalThis.fetch.bind(globalThis);
  }

  async info(): Promise<RoundInfo> {
    const info = (await (await this.ask('info')).json()) as RoundInfo;
    const problem = roundInfoCheck(info, 'federation');
    if (problem !== null)
      throw new InputError('unsupported', `${this.base}: not a coordinator that this version knows; ${problem}`);
    return info;
  }

  async bytes(what: 'model' | 'weights'): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await (await this.ask(what)).arrayBuffer());
  }

  /** null where the round has closed, or this client has taken part in it. */
  async ticket(): Promise<{ round: number; ticket: string } | null> {
    try {
      const answer = await this.ask('tickets', { type: 'application/json', body: '{}' });
      return (await answer.json()) as { round: number; ticket: string };
    } catch (error) {
      if (error instanceof InputError && error.code === 'mismatched-data') return null;
      throw error;
    }
  }

  /** @returns why the update was not taken; null where it was */
  async send(body: Uint8Array<ArrayBuffer>): Promise<string | null> {
    try {
      await this.ask('updates', { type: 'application/octet-stream', body });
      return null;
    } catch (error) {
      if (error instanceof InputError && error.code !== 'file-access') return error.reason;
      throw error;
    }
  }

  private async ask(
    what: keyof typeof FEDERATION_PATHS,
    sent?: { type: string; body: string | Uint8Array<ArrayBuffer> },
  ): Promise<Response> {
    const { base, headers, signal } = this;
    const url = `${base}${FEDERATION_PATHS[what]}`;
    const request = sent
      ? { method: 'POST', headers: { ...headers, 'content-type': sent.type }, body: sent.body, signal }
      : { headers, signal };
    let answer: Response;
    try {
      answer = await this.fetch(url, request);
    } catch (error) {
      if (signal?.aborted) throw new Stopped('interrupted');
      throw new InputError('file-access', `${url}: no answer (${causeOf(error as Error)})`);
    }
    if (answer.ok) return answer;
    const problem = (await answer.json().catch(() => null)) as { detail?: unknown } | null;
    const said = typeof problem?.detail === 'string' ? problem.detail : `HTTP ${answer.status}`;
    const code = answer.status === 409 ? 'mismatched-data' : answer.status < 500 ? 'unsupported' : 'file-access';
    throw new InputError(code, `${base}: ${said}`);
  }
}

const causeOf = ({ message, cause }: Error): string => (cause instanceof Error ? cause.message : message);

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new Stopped('interrupted'));
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    const stop = (): void => {
      clearTimeout(timer);
      reject(new Stopped('interrupted'));
    };
    signal?.addEventListener('abort', stop, { once: true });
  });
}
