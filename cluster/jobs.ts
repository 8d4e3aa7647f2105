/**
 * What goes through a queue: a command of Attune, which a worker runs in its workspace as a user would. Whatever can be divided
 * into commands can be shared among machines; data and weights stay in files that all of them reach.
 */

import type { Part } from '../model/storage/manifest.ts';

export interface Job {
  /** For people: `trial 3`. */
  title: string;
  /** The command and its flags, without --json and --device, which the worker adds. */
  words: readonly string[];
  /** A training that can be continued: where its folder holds this part, these are the words instead. */
  resume?: { folder: string; part: Part; words: readonly string[] };
  /** Milliseconds since 1970 at which it is given up; a training ends by then and is saved. */
  until?: number;
  /** It is not done again where its worker dies. */
  once?: boolean;
}

/** What came of a job. */
export type JobResult =
  /** What the command printed with --json. */
  | { kind: 'done'; output: unknown }
  /** The command refused its input or settings, or the training diverged: elsewhere it would, too. */
  | { kind: 'refused'; code: string; reason: string }
  /** There was no time for it. */
  | { kind: 'late' };

/** Commands that a queue may ask of a worker. */
const COMMANDS: ReadonlySet<string> = new Set(['train', 'recommend']);

/** @throws Error where a worker should not run it */
export function requireRunnable({ words, resume }: Job): void {
  for (const [command] of resume ? [words, resume.words] : [words])
    if (!COMMANDS.has(command)) throw new Error(`a worker does not run attune ${command}`);
}
