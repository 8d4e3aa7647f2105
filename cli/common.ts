/** What the commands share: where their lines go, numbers from flags, the device, Ctrl-C. */
import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { InputError } from '../data/errors.ts';
import { withoutSource } from '../data/log.ts';
import { truncate, visible, visibleLines } from '../data/visible.ts';
import type { Device } from '../engine/index.ts';
import type { LoadedModel } from '../model/storage/load-model.ts';
import type { AnySource } from '../train/plan.ts';
import { terminalJson } from './errors.ts';
import { inFlags } from './flags/names.ts';
import { expandPaths, filesOfLog, pathsExist } from './input/paths.ts';

export type Backend = 'auto' | 'webgpu' | 'wasm' | 'cpu';

/** The device could not be had; the command ends with exit code 3. */
export class OpenDeviceError extends Error {
  override name = 'DeviceError';
}

/**
 * Where lines go, and the only place where text of a command's own leaves for the terminal (errors: errors.ts, the bar:
 * ui.ts): control characters that names bring along are made visible here. Standard output holds the command's own output:
 * with `--json` one object and nothing else, so that notes move to standard error then.
 */
export class Output {
  readonly json: boolean;

  constructor(json = false) {
    this.json = json;
  }

  /** Lines of the report for people, or a table; nothing with `--json`. Names in it are `printable`. */
  line(text = ''): void {
    if (!this.json) process.stdout.write(`${visibleLines(text)}\n`);
  }

  /** One line: what was found on the way. */
  note(text: string): void {
    (this.json ? process.stderr : process.stdout).write(`${visible(inFlags(text))}\n`);
  }

  /** One line: what the user should look at. */
  warn(text: string): void {
    process.stderr.write(`attune: ${visible(inFlags(text))}\n`);
  }

  /** The object of `--json`; nothing without it. */
  object(value: unknown): void {
    if (this.json) process.stdout.write(`${terminalJson(value)}\n`);
  }
}

/** Prints what was found and chosen, a line each. */
export function say({ notes, warnings }: { notes: readonly string[]; warnings: readonly string[] }, out: Output): void {
  for (const line of notes) out.note(truncate(line.trim(), 1000));
  for (const line of warnings) out.warn(truncate(line.trim(), 1000));
}

/** Makes a plan from a log; where that fails, the columns that were taken are said before the error. */
export async function planFrom<P>(source: AnySource, out: Output, make: () => P | Promise<P>): Promise<P> {
  try {
    return await make();
  } catch (error) {
    const { log, name } = source;
    if ('notes' in log)
      say({ notes: log.notes.map((note) => `${name}: ${withoutSource(note, log.source)}`), warnings: [] }, out);
    throw error;
  }
}

/**
 * Opens the device that `--device` names.
 *
 * @param lists where single lists of this model are wanted: `auto` takes what answers them fastest, as the library does
 * @throws DeviceError
 */
export async function openDevice(backend: Backend, out: Output, lists?: LoadedModel): Promise<Device> {
  const onFallback = () =>
    out.warn(
      'no WebGPU adapter was found: continuing in WebAssembly on the CPU, which is slow (attune doctor says what is missing)',
    );
  try {
    const { nodeTuning } = await import('../recommend/sources/tuning.node.ts');
    const options = { backend, onFallback, tuning: nodeTuning() };
    if (lists) {
      const { chooseDevice } = await import('../recommend/choose-device.ts');
      return await chooseDevice(lists, options);
    }
    const { Device } = await import('../engine/index.ts');
    return await Device.open(options);
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new OpenDeviceError((error as Error).message, { cause: error });
  }
}

/** How the user started this command, to be printed before the next one. */
export function commandName(): string {
  const started = path.basename(process.argv[1] ?? '');
  return started === 'attune' || started === 'attune.cmd' ? 'attune' : 'npm run -s attune --';
}

/** Refuses to write a file over one that the command reads, whatever path leads to it. @throws InputError */
export function requireOtherFile(flag: string, file: string, inputs: readonly (string | undefined)[]): void {
  const own = identityOf(file);
  const folder = identityOf(path.dirname(file));
  // A folder is what it is named for: a model, or a log with its files.
  const named = inputs.filter((given) => given !== undefined && pathsExist(given)) as string[];
  for (const input of named.flatMap((given) => expandPaths(given).concat(filesOfLog(given)))) {
    const there = identityOf(input);
    // Of a folder's files those that a model consists of.
    const part =
      there === folder && /\.(json|safetensors|bin)$|^metrics\.jsonl$|^README\.md$/.test(path.basename(file));
    if (there === own || part) {
      const what = part ? `a file of the model ${input}` : `${input}, which this command reads`;
      throw new InputError('conflicting-settings', `${flag} ${file}: is ${what}`, { hint: 'choose another file' });
    }
  }
}

/** What tells a file from all others; null where there is none. */
function identityOf(file: string): string | null {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false });
  return found ? `${found.dev}:${found.ino}` : null;
}

/** A word for the shell: quoted where it must be, control characters as bash, ksh and zsh write them. */
export function shellWord(text: string): string {
  const shown = visible(text);
  if (shown !== text) return `$'${visible(text.replaceAll('\\', '\\\\').replaceAll("'", "\\'"))}'`;
  return /^[\w./:=,@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Version of Attune, or of an installed package. */
export function versionOf(name = 'attune'): string {
  const require = createRequire(import.meta.url);
  try {
    return (require(`${name}/package.json`) as { version: string }).version;
  } catch {
    return 'unknown';
  }
}

/** Whether the command that runs takes care of Ctrl-C itself; see cli/main.ts for those that do not. */
export const interrupts = { handled: false };

export interface Interrupt {
  signal: AbortSignal;
  /** There is nothing to save any more. */
  end(): void;
}

/**
 * A signal that the first Ctrl-C sets off, so that work can be saved; the second ends the process at once.
 * Call `end()` when there is nothing to save any more.
 */
export function onInterrupt(say: () => void): Interrupt {
  const controller = new AbortController();
  const listener = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
    say();
  };
  interrupts.handled = true;
  process.on('SIGINT', listener);
  return {
    signal: controller.signal,
    end() {
      process.off('SIGINT', listener);
      interrupts.handled = false;
    },
  };
}
