/** How a command ends: an exit code, and one line on standard error, which is a JSON object with `--json`. */
import { type ErrorCode, InputError } from '../data/errors.ts';
import { flagFor, inFlags } from './flags/names.ts';
import { messageLine, visibleLines } from '../data/visible.ts';

/** 1: what the user gave cannot be used; 2: wrong usage; 3: device or internal failure; 130: Ctrl-C. */
export const EXIT = { ok: 0, input: 1, usage: 2, failure: 3, interrupted: 130 } as const;

/** A flag is unknown, missing, or contradicts another. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** The user pressed Ctrl-C; the message says what was saved and how to continue. */
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
  ENOTDIR: 'is in the way: expected a folder',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
};

/** What `--json` writes: docs/errors.md lists the codes. */
export interface ErrorReport {
  code: ErrorCode | 'usage' | 'interrupted' | 'device' | 'internal';
  /** the flag at fault */
  setting: string | null;
  /** what it was given, where the reason does not say */
  value?: string;
  reason: string;
  hint: string | null;
}

interface Verdict {
  exit: number;
  /** null when there is nothing to print, or commander has printed it */
  line: string | null;
  report?: ErrorReport;
}

function judge(error: unknown): Verdict {
  const verdict = (exit: number, code: ErrorReport['code'], reason: string, hint: string | null = null): Verdict => ({
    exit,
    line: hint === null ? reason : `${reason} (${hint})`,
    report: { code, setting: null, reason, hint },
  });
  if (!(error instanceof Error)) return verdict(EXIT.failure, 'internal', `internal error: ${String(error)}`);
  if (error instanceof InputError) {
    const { code, setting, value, reason, hint, message } = error;
    const report: ErrorReport = {
      code,
      setting: setting === undefined ? null : flagFor(setting),
      value: value === undefined ? undefined : String(value),
      reason: inFlags(reason),
      hint: hint === undefined ? null : inFlags(hint),
    };
    return { exit: EXIT.input, line: inFlags(message), report };
  }
  if (error instanceof UsageError) return verdict(EXIT.usage, 'usage', error.message, 'see attune --help');
  if (error instanceof InterruptedError) return verdict(EXIT.interrupted, 'interrupted', error.message);
  const { code, exitCode, path, dest } = error as NodeJS.ErrnoException & { exitCode?: number; dest?: string };
  if (typeof code === 'string') {
    if (code.startsWith('commander.')) {
      // Help and version end well; of an error commander has printed its own line.
      if (exitCode === 0) return { exit: EXIT.ok, line: null };
      return { ...verdict(EXIT.usage, 'usage', error.message.replace(/^error: /, '')), line: null };
    }
    // The reader of our standard output left (`attune recommend | head`).
    if (code === 'EPIPE') return { exit: EXIT.ok, line: null };
    const file = dest ?? path;
    if (Object.hasOwn(FILE_ERRORS, code) && file) {
      return verdict(EXIT.input, code === 'ENOENT' ? 'not-found' : 'file-access', `${file}: ${FILE_ERRORS[code]}`);
    }
  }
  // What the device layer throws explains itself; anything else is a defect of ours, and says so.
  const message = inFlags(error.message);
  if (error.name === 'DeviceError' || /^(device|training): /.test(message)) {
    return verdict(EXIT.failure, 'device', message);
  }
  return verdict(EXIT.failure, 'internal', `internal error: ${message}`);
}

/**
 * Prints the error as one line, `attune: ...`, or with `json` as one JSON object, and returns the exit code. With
 * ATTUNE_DEBUG set the stack follows.
 */
export function reportError(
  error: unknown,
  { json = false, stream = process.stderr }: { json?: boolean; stream?: { write(text: string): unknown } } = {},
): number {
  const { exit, line, report } = judge(error);
  const debug = Boolean(process.env.ATTUNE_DEBUG);
  if (json && report) stream.write(`${terminalJson(report)}\n`);
  else if (line !== null) {
    const hint = exit === EXIT.failure && !debug ? ' (ATTUNE_DEBUG=1 shows where)' : '';
    stream.write(`attune: ${messageLine(line)}${hint}\n`);
  }
  if (debug && report && error instanceof Error && error.stack) stream.write(`${visibleLines(error.stack)}\n`);
  return exit;
}

/** JSON whose strings hold no control characters as such: JSON itself escapes only those below U+0020. */
export function terminalJson(value: unknown): string {
  return JSON.stringify(value).replace(UNESCAPED, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const UNESCAPED = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
