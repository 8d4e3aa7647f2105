/** How a command ends: one line on standard error (with `--json` too) and an exit code. */
import { InputError } from '../data/errors.ts';
import { inFlags } from './flags/names.ts';
import { messageLine, visibleLines } from '../data/visible.ts';

/** 1: what the user gave cannot be used; 2: wrong usage; 3: device or internal failure; 130: Ctrl-C. */
export const EXIT = { ok: 0, input: 1, usage: 2, failure: 3, interrupted: 130 } as const;

/** A flag is unknown, missing, or contradicts another. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** The user pressed Ctrl-C; the message says what was saved and how to go on. */
export class InterruptedError extends Error {
  override name = 'InterruptedError';
}

/** What the file system refuses because of the path that the user gave. */
const FILE_ERRORS: Record<string, string> = {
  ENOENT: 'no such file or folder',
  EACCES: 'no permission',
  EPERM: 'no permission',
  EROFS: 'the file system is read-only',
  EISDIR: 'is a folder, expected a file',
  ENOTDIR: 'a file stands where a folder is needed',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
};

interface Judgement {
  code: number;
  /** null when there is nothing to print. */
  line: string | null;
}

function judge(error: unknown): Judgement {
  if (!(error instanceof Error)) return { code: EXIT.failure, line: `internal error: ${String(error)}` };
  if (error instanceof InputError) return { code: EXIT.input, line: inFlags(error.message) };
  if (error instanceof UsageError) return { code: EXIT.usage, line: `${error.message} (see attune --help)` };
  if (error instanceof InterruptedError) return { code: EXIT.interrupted, line: error.message };
  const { code, exitCode, path, dest } = error as NodeJS.ErrnoException & { exitCode?: number; dest?: string };
  if (typeof code === 'string') {
    // commander has printed its own message; help and version end well.
    if (code.startsWith('commander.')) return { code: exitCode === 0 ? EXIT.ok : EXIT.usage, line: null };
    // The reader of our standard output left (`attune recommend | head`).
    if (code === 'EPIPE') return { code: EXIT.ok, line: null };
    const file = dest ?? path;
    if (Object.hasOwn(FILE_ERRORS, code) && file) return { code: EXIT.input, line: `${file}: ${FILE_ERRORS[code]}` };
  }
  // What the device layer throws explains itself; anything else is a defect of ours, and says so.
  const known = error.name === 'DeviceError' || /^(device|training): /.test(error.message);
  return { code: EXIT.failure, line: known ? inFlags(error.message) : `internal error: ${error.message}` };
}

/** The exit code that fits an error. */
export function exitCodeOf(error: unknown): number {
  return judge(error).code;
}

/**
 * Prints the error as one line, `attune: …`, and returns the exit code. With ATTUNE_DEBUG set the stack follows.
 */
export function reportError(error: unknown, stream: { write(text: string): unknown } = process.stderr): number {
  const { code, line } = judge(error);
  if (line === null) return code;
  const debug = Boolean(process.env.ATTUNE_DEBUG);
  const hint = code === EXIT.failure && !debug ? ' (ATTUNE_DEBUG=1 shows where)' : '';
  stream.write(`attune: ${messageLine(line)}${hint}\n`);
  if (debug && error instanceof Error && error.stack) stream.write(`${visibleLines(error.stack)}\n`);
  return code;
}
