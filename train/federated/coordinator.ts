/**
 * The coordinator of a federation: a state machine without a clock or a network. It hands out tickets, takes updates, closes
 * a round when it has enough of them, and publishes the next weights. All of it is in a model folder, so that a coordinator
 * that is started again continues where the last one was killed:
 *
 *   model.safetensors        the shared weights as of the last round: the folder is a model at any time
 *   federation.safetensors   the same weights `w/NAME`, the server step's moments `m/NAME` and `v/NAME`, and the open round
 *   round-000003.jsonl       tickets of the open round, and which of them have come back
 *   round-000003-0001.safetensors   its updates, each written before it is acknowledged
 */
import { damaged, InputError } from '../../data/errors.ts';
import { settingsOf } from '../../model/inference/ranking-model.ts';
import { toArrays } from '../../model/encoders/sequence-model.ts';
import { saveModel } from '../../model/storage/checkpoint.ts';
import type { Files } from '../../model/storage/files.ts';
import { appendMetrics } from '../../model/storage/folder.ts';
import { checkInteger, checkText, object } from '../../model/storage/json-check.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { decodeModel, encodePieces, type StoredTensor } from '../../model/storage/safetensors.ts';
import { metadataOf, readMetadata, tensorOf } from '../../model/storage/tensors.ts';
import { aggregate, type ParameterShapes } from './aggregate.ts';
import { normOf, systemRandom, type WeightValues } from './clip.ts';
import { requireFederated } from './local.ts';
import { decodeUpdate, encodeWeights, type RoundInfo, type RoundStamp, updateBytes } from './protocol.ts';
import { type ServerMoments, serverStep, zerosLike } from './server-step.ts';
import { type FederationTerms, largestNorm, termsCheck } from './terms.ts';

const STATE = 'federation.safetensors';
/** Most tickets of a round. */
const MOST_TICKETS = 100_000;

/** What the metadata of the state says. */
interface StoredState extends RoundStamp {
  terms: FederationTerms;
  /** Of the model that the federation started from. */
  step: number;
  epoch: number;
}

const stateCheck = object<StoredState>({
  federation: checkText,
  round: checkInteger(1, Number.MAX_SAFE_INTEGER),
  terms: termsCheck,
  step: checkInteger(0, Number.MAX_SAFE_INTEGER),
  epoch: () => null,
});

/** What is stored: the open round, the weights that all share, and the moments of the server's step. */
interface Shared extends ServerMoments {
  state: StoredState;
  weights: WeightValues;
}

/** A line of a round's journal. */
type JournalLine = { ticket: string; name: string | null } | { accepted: string };

export interface Accepted {
  round: number;
  /** Updates that the round has with this one. */
  received: number;
  /** Whether it closed the round. */
  closed: boolean;
}

const numbered = (round: number): string => `round-${String(round).padStart(6, '0')}`;
const journalOf = (round: number): string => `${numbered(round)}.jsonl`;
const updateOf = (round: number, number: number): string =>
  `${numbered(round)}-${String(number).padStart(4, '0')}.safetensors`;

export class Coordinator {
  readonly shapes: ParameterShapes;
  private readonly files: Files;
  private shared: Shared;
  /** Tickets of the open round that have not come back, and whose they are. */
  private readonly open = new Map<string, string | null>();
  private readonly used = new Set<string>();
  /** The ticket of each name, which gets one in a round. */
  private readonly ofName = new Map<string, string>();
  private updates: WeightValues[] = [];
  /** The weights as they are sent; made once a round. */
  private sent: Uint8Array<ArrayBuffer> | null = null;
  private last: Promise<unknown> = Promise.resolve();

  private constructor(files: Files, shapes: ParameterShapes, shared: Shared) {
    this.files = files;
    this.shapes = shapes;
    this.shared = shared;
  }

  private get state(): StoredState {
    return this.shared.state;
  }

  private get weights(): WeightValues {
    return this.shared.weights;
  }

  /** Whether a federation has started in this folder. */
  static async holds(files: Files): Promise<boolean> {
    return (await files.read(STATE)) !== null;
  }

  /**
   * Starts a federation from the model in a folder, or continues the one that has started there.
   * @throws InputError where the model cannot be trained so, or the federation has other terms
   */
  static async open(files: Files, terms: FederationTerms): Promise<Coordinator> {
    const { config, tensors, weights } = await loadModel(files);
    requireFederated(settingsOf({ config }), config);
    const shapes: ParameterShapes = new Map(Array.from(tensors, ([name, { shape }]) => [name, shape]));
    const bytes = await files.read(STATE);
    if (bytes) return Coordinator.resume(files, bytes, shapes, terms);
    const values = toArrays(tensors);
    const state = { federation: randomName(), round: 1, terms, step: weights.step, epoch: weights.epoch };
    const shared = { state, weights: values, m: zerosLike(values), v: zerosLike(values) };
    const made = new Coordinator(files, shapes, shared);
    await made.save(shared);
    return made;
  }

  private static async resume(
    files: Files,
    bytes: Uint8Array,
    shapes: ParameterShapes,
    terms: FederationTerms,
  ): Promise<Coordinator> {
    const path = `${files.where}/${STATE}`;
    const { tensors, metadata } = decodeModel(bytes, path);
    const state = readMetadata<StoredState>(metadata, 'state');
    const problem = state === null ? 'not the state of a federation' : stateCheck(state, '');
    if (state === null || problem !== null) return damaged(path)(problem ?? '');
    for (const key of Object.keys(terms) as (keyof FederationTerms)[]) {
      // It may go on for longer than it was meant to.
      if (key === 'rounds' || state.terms[key] === terms[key]) continue;
      throw new InputError(
        'conflicting-settings',
        `${files.where}: this federation was started with ${state.terms[key]}`,
        {
          setting: key,
          value: terms[key],
          hint: 'continue it as it was started, or choose another folder',
        },
      );
    }
    const valuesOf = (prefix: string): WeightValues =>
      new Map(
        Array.from(shapes, ([name, shape]) => [
          name,
          Float32Array.from(tensorOf({ tensors, path }, `${prefix}/${name}`, 'F32', shape)),
        ]),
      );
    const shared = { state: { ...state, terms }, weights: valuesOf('w'), m: valuesOf('m'), v: valuesOf('v') };
    const made = new Coordinator(files, shapes, shared);
    await made.restoreRound();
    return made;
  }

  get info(): RoundInfo {
    const { federation, round, terms } = this.state;
    return { federation, round, done: round > terms.rounds, received: this.updates.length, terms };
  }

  /** Bytes of a message, at most. */
  get mostBytes(): number {
    return updateBytes(this.shapes);
  }

  /** The shared weights of the open round, as they are sent. */
  get message(): Uint8Array<ArrayBuffer> {
    const { federation, round } = this.state;
    this.sent ??= encodeWeights(this.weights, this.shapes, { federation, round });
    return this.sent;
  }

  /**
   * A ticket for the open round.
   * @param name of who asks, where that is known: it gets one ticket a round, the same one until that is used
   * @throws InputError where all rounds are over, or the name's ticket is used
   */
  ticket(name: string | null): Promise<{ round: number; ticket: string }> {
    return this.serially(async () => {
      const { round } = this.state;
      this.requireOpen();
      const known = name === null ? undefined : this.ofName.get(name);
      if (known !== undefined && this.used.has(known))
        throw new InputError('already-exists', `${name} has taken part in round ${round}`);
      if (known !== undefined) return { round, ticket: known };
      if (this.open.size + this.used.size >= MOST_TICKETS)
        throw new InputError('too-large', `round ${round} has given out ${MOST_TICKETS} tickets`);
      const ticket = randomName();
      await this.journal({ ticket, name });
      this.admit(ticket, name);
      return { round, ticket };
    });
  }

  /**
   * Takes an update into the open round, once it is on disk; the last one closes the round.
   * @throws InputError, one line, for one that is late, was there before, is malformed or too large: nothing of it is kept
   */
  submit(bytes: Uint8Array): Promise<Accepted> {
    return this.serially(async () => {
      const { round, terms, federation } = this.state;
      this.requireOpen();
      if (bytes.length > this.mostBytes)
        throw new InputError('too-large', `update: ${bytes.length} bytes, expected at most ${this.mostBytes}`);
      const { values, stamp } = decodeUpdate(bytes, this.shapes);
      if (stamp.federation !== federation)
        throw new InputError('mismatched-data', `update: of another federation (${stamp.federation})`);
      if (stamp.round !== round)
        throw new InputError('mismatched-data', `update: of round ${stamp.round}; round ${round} is open`);
      if (this.used.has(stamp.ticket))
        throw new InputError('already-exists', 'update: its ticket is used, and one update came with it');
      if (!this.open.has(stamp.ticket))
        throw new InputError('unknown-id', `update: its ticket is none of round ${round}`);
      const [norm, most] = [normOf(values), largestNorm(terms, sizeOf(values))];
      if (norm > most)
        throw new InputError(
          'too-large',
          `update: its norm is ${norm.toPrecision(4)}, expected at most ${most.toPrecision(4)}`,
        );
      await this.files.write(updateOf(round, this.updates.length + 1), bytes);
      await this.journal({ accepted: stamp.ticket });
      this.accept(stamp.ticket, values);
      const received = this.updates.length;
      const closed = received >= terms.clients;
      if (closed) await this.close();
      return { round, received, closed };
    });
  }

  /** At a round's deadline: closes it where it has enough updates. @returns whether it did */
  closeEarly(round: number): Promise<boolean> {
    return this.serially(async () => {
      const { terms } = this.state;
      if (this.state.round !== round || this.info.done || this.updates.length < terms.leastClients) return false;
      await this.close();
      return true;
    });
  }

  private requireOpen(): void {
    const { terms } = this.state;
    if (this.info.done)
      throw new InputError('mismatched-data', `all ${terms.rounds} rounds of this federation are over`);
  }

  private admit(ticket: string, name: string | null): void {
    this.open.set(ticket, name);
    if (name !== null) this.ofName.set(name, ticket);
  }

  private accept(ticket: string, values: WeightValues): void {
    this.open.delete(ticket);
    this.used.add(ticket);
    this.updates.push(values);
  }

  /** Aggregates and publishes. The state is written first: all else follows from it, and what fails before leaves the round open. */
  private async close(): Promise<void> {
    const { round, terms, step } = this.state;
    const clients = this.updates.length;
    const change = aggregate(this.updates, this.shapes, terms.trim);
    const next: Shared = {
      state: { ...this.state, round: round + 1 },
      weights: copyOf(this.weights),
      m: copyOf(this.shared.m),
      v: copyOf(this.shared.v),
    };
    serverStep(next.weights, next, change, terms);
    await this.save(next);
    this.shared = next;
    this.updates = [];
    this.sent = null;
    this.open.clear();
    this.used.clear();
    this.ofName.clear();
    await this.publish();
    await appendMetrics(this.files, { step: step + round, round, clients, change: normOf(change) });
    await this.files.remove(journalOf(round));
    for (let i = 1; i <= clients; i++) await this.files.remove(updateOf(round, i));
  }

  private async save({ state, weights, m, v }: Shared): Promise<void> {
    const tensors = new Map<string, StoredTensor>();
    for (const [prefix, values] of Object.entries({ w: weights, m, v }))
      for (const [name, tensor] of this.stored(values)) tensors.set(`${prefix}/${name}`, tensor);
    await this.files.write(STATE, encodePieces(tensors, metadataOf('state', JSON.stringify(state))));
  }

  /** The weights as the folder's model. */
  private async publish(): Promise<void> {
    const { step, epoch, round } = this.state;
    await saveModel(this.files, this.stored(this.weights), { step: step + round - 1, epoch, metrics: null });
  }

  private stored(values: WeightValues): Map<string, StoredTensor> {
    return new Map(Array.from(values, ([name, data]) => [name, { shape: this.shapes.get(name) ?? [], data }]));
  }

  /** After a kill: the model of the state, the tickets and the updates of the open round; what earlier ones left is removed. */
  private async restoreRound(): Promise<void> {
    const { round, terms } = this.state;
    if (round > 1) await this.publish();
    for (const name of await this.files.list())
      if (/^round-\d{6,}/.test(name) && !name.startsWith(numbered(round))) await this.files.remove(name);
    for (const line of await this.readJournal()) {
      if ('ticket' in line) this.admit(line.ticket, line.name);
      else {
        const bytes = await this.files.read(updateOf(round, this.updates.length + 1));
        if (!bytes) return damaged(`${this.files.where}/${updateOf(round, this.updates.length + 1)}`)('missing');
        this.accept(line.accepted, decodeUpdate(bytes, this.shapes).values);
      }
    }
    if (!this.info.done && this.updates.length >= terms.clients) await this.close();
  }

  private journal(line: JournalLine): Promise<void> {
    return this.files.append(journalOf(this.state.round), `${JSON.stringify(line)}\n`);
  }

  /** Whole lines alone: a torn one was never acknowledged. */
  private async readJournal(): Promise<JournalLine[]> {
    const bytes = await this.files.read(journalOf(this.state.round));
    const text = new TextDecoder().decode(bytes?.subarray(0, bytes.lastIndexOf(0x0a) + 1));
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as JournalLine);
  }

  /** One thing after the other, whoever asks. */
  private serially<T>(work: () => Promise<T>): Promise<T> {
    const done = this.last.then(work);
    this.last = done.catch(() => {});
    return done;
  }
}

const copyOf = (values: WeightValues): WeightValues =>
  new Map(Array.from(values, ([name, array]) => [name, array.slice()]));

const sizeOf = (values: WeightValues): number => {
  let size = 0;
  for (const { length } of values.values()) size += length;
  return size;
};

/** 128 random bits in hexadecimal digits. */
function randomName(): string {
  const bytes = new Uint8Array(16);
  systemRandom(bytes);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
