/** `serve --learn`: the model that answers is updated with what the store has collected, and replaced where that is no worse. */
import { readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import { InputError } from '../../data/errors.ts';
import { loadConfig, type ModelConfig } from '../../model/storage/config.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import type { Context } from '../context.ts';
import { Problem } from '../http/problem.ts';
import { describeFolder } from '../serving/model-folders.ts';
import { replaceModel } from '../serving/replace.ts';
import { FEWEST_USERS } from '../serving/trial.ts';
import type { StoredEvent } from '../store/store.ts';
import { eventLines } from './event-lines.ts';

export interface LearningOptions {
  /** Events, or milliseconds, after which the model learns again. */
  after: { events: number } | { ms: number };
  /** Milliseconds between two looks at the store. */
  lookMs?: number;
  /** Updates a model with a file of events into another folder, in a process of its own. @throws Error, with what it said */
  update(model: string, events: string, out: string, signal: AbortSignal): Promise<void>;
}

const LOOK_MS = 10_000;
/** Events that are read at most. */
const MOST_EVENTS = 500_000;
/** Share of the new events that the update does not see, the newest: both models are compared on them. */
const HELD_OUT = 0.2;
/** Milliseconds before the latest event of the training, from which events may have come late. */
const LATE_MS = 86_400_000;
const STATE = 'learned.json';

/** Of the folders that a model's updates are in, `MODEL-learned-0001`; the state tells which of them answers. */
interface State {
  folder: string;
}

/**
 * The model that `serve --learn` continues with: the last that was swapped in, or the one that was named.
 * @throws InputError for a model that cannot be updated here
 */
export async function lastLearned(model: string): Promise<string> {
  const file = `${model}.${STATE}`;
  const text = await readFile(file, 'utf8').catch(() => null);
  const folder = text === null ? null : path.join(path.dirname(model), parseState(text, file).folder);
  const last = folder !== null && (await stat(folder).catch(() => null)) ? folder : model;
  requireLearnable(await loadConfig(await openPath(last)), last);
  return last;
}

function parseState(text: string, file: string): State {
  try {
    const { folder } = JSON.parse(text) as Partial<State>;
    if (typeof folder === 'string' && folder === path.basename(folder)) return { folder };
  } catch {
    // Not JSON: as below.
  }
  throw new InputError('damaged-model', `${file}: expected the name of the folder of the last update`, {
    hint: 'remove the file to start from the model itself, or write {"folder":"NAME"}',
  });
}

/** @throws InputError where the events of the store cannot join the log of the training */
function requireLearnable({ schema, task }: ModelConfig, where: string): void {
  const refuse = (reason: string): never => {
    throw new InputError('conflicting-settings', `${where}: ${reason}`, { setting: 'learn' });
  };
  if (task !== undefined) refuse('a model of ratings is not updated');
  if (schema.columns.all !== undefined) refuse('the log of its training has no header, so that events cannot join it');
}

export class LearningLoop {
  private readonly context: Context;
  private readonly options: LearningOptions;
  /** The model that the server was started with: its updates are named after it. */
  private readonly model: string;
  private readonly log: FastifyBaseLogger;
  private readonly abort = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private running: Promise<void> | null = null;
  /** Of the last attempt: when it was, and the events that there were. */
  private last = { at: Date.now(), events: 0 };
  /** When events were last read: how many the store had, and how many were new to the model. */
  private read = { version: '', stored: 0, fresh: 0 };

  constructor(context: Context, model: string, options: LearningOptions, log: FastifyBaseLogger) {
    this.context = context;
    this.model = model;
    this.options = options;
    this.log = log;
    this.timer = setInterval(() => this.look(), options.lookMs ?? LOOK_MS);
    this.timer.unref();
  }

  /** Ends an update that runs. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.abort.abort();
    await this.running;
  }

  private look(): void {
    this.running ??= this.learn()
      .catch((error) => {
        if (this.abort.signal.aborted) return;
        const reason = error instanceof Error ? error.message : String(error);
        this.log.warn({ reason }, 'not learned: the model stays');
      })
      .finally(() => {
        this.running = null;
      });
  }

  /** Whether so many new events are enough. After a swap the count starts anew. */
  private isDue(fresh: number): boolean {
    const { after } = this.options;
    const before = fresh < this.last.events ? 0 : this.last.events;
    return !('events' in after) || fresh >= before + after.events;
  }

  private async learn(): Promise<void> {
    const { after } = this.options;
    const { current } = this.context.models;
    if ('ms' in after && Date.now() - this.last.at < after.ms) return;
    // No more are new than were when they were last read, and what the store has gained since: they are not read each time.
    const { events: stored } = await this.context.sizes.get();
    const { version, stored: then, fresh: were } = this.read;
    if (version === current.version && !this.isDue(were + stored - then)) return;
    const events = await this.collected(current.trainedUpTo);
    const fresh = events.filter(({ time }) => time > current.trainedUpTo);
    this.read = { version: current.version, stored, fresh: fresh.length };
    if (!this.isDue(fresh.length)) return;
    this.last = { at: Date.now(), events: fresh.length };
    const { time: cut } = fresh[Math.floor(fresh.length * (1 - HELD_OUT))] ?? { time: Number.NaN };
    const judges = new Set(fresh.filter(({ time }) => time >= cut).map(({ user }) => user)).size;
    if (judges < FEWEST_USERS) {
      this.log.info(
        { events: fresh.length, users: judges },
        `not learned yet: the newest events are of fewer than ${FEWEST_USERS} users`,
      );
      return;
    }
    await this.update(
      current.folder,
      events.filter(({ time }) => time < cut),
    );
  }

  /** Stored events from a day before the training's latest on, of types that count for an item. */
  private async collected(trainedUpTo: number): Promise<StoredEvent[]> {
    const { store, config } = this.context;
    const events = await store.eventsAfter(trainedUpTo - LATE_MS, MOST_EVENTS);
    return events.filter(({ type }) => (config.events.get(type) ?? 1) > 0);
  }

  private async update(from: string, events: readonly StoredEvent[]): Promise<void> {
    const out = await this.nextFolder();
    const file = `${out}.events.csv`;
    await writeFile(file, eventLines(events, await loadConfig(await openPath(from))));
    this.log.info({ from: path.basename(from), to: path.basename(out), events: events.length }, 'learning');
    await this.options.update(from, file, out, this.abort.signal);
    const { version } = await describeFolder(out);
    try {
      const { comparison } = await replaceModel(this.context, out, false, true);
      await this.remember(out);
      this.last.events = 0;
      this.log.info({ version, comparison: comparison.note }, 'learned: the new model answers from now on');
    } catch (error) {
      if (!(error instanceof Problem || error instanceof InputError)) throw error;
      this.log.warn({ version, reason: error.message }, 'learned, but refused: the model before it stays');
    }
  }

  private async nextFolder(): Promise<string> {
    const [root, name] = [path.dirname(this.model), path.basename(this.model)];
    const taken = (await readdir(root)).filter((other) => other.startsWith(`${name}-learned-`));
    const numbers = taken.map((other) => Number.parseInt(other.slice(`${name}-learned-`.length), 10) || 0);
    const next = 1 + numbers.reduce((a, b) => Math.max(a, b), 0);
    return path.join(root, `${name}-learned-${String(next).padStart(4, '0')}`);
  }

  private async remember(folder: string): Promise<void> {
    const file = `${this.model}.${STATE}`;
    await writeFile(`${file}.tmp`, `${JSON.stringify({ folder: path.basename(folder) } satisfies State)}\n`);
    await rename(`${file}.tmp`, file);
  }
}
