/** Runs the built command as users do, in a folder of its own. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { partPath } from '../model/parts.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const commands = fileURLToPath(new URL('commands.mjs', import.meta.url));

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * @property processes `own`: each command has its own, as with users. `one`: they share one, which takes a third of the
 *   time. Those of the documentation, which has every command, have their own.
 * @property cpu What computes does so on the CPU device where --device is not given.
 */
export interface WorkplaceOptions {
  processes?: 'own' | 'one';
  cpu?: boolean;
}

/** Of the tests of single commands. */
export const SHARED: WorkplaceOptions = { processes: 'one', cpu: true };

/** Commands that take --device. */
const COMPUTES = [
  'train',
  'update',
  'backtest',
  'attack',
  'evaluate',
  'compare',
  'search',
  'recommend',
  'generate',
  'vectors',
  'explain',
  'demo',
  'join',
];

/** Where commands run: their arguments are a list, or a line without spaces in them. */
export class Workplace {
  readonly dir = mkdtempSync(join(tmpdir(), 'attune-cli-'));
  readonly #options: WorkplaceOptions;
  #shared: ChildProcess | null = null;
  /** What the shared process does, one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: WorkplaceOptions = {}) {
    if (!existsSync(main)) throw new Error('dist/ is missing: npm run build');
    this.#options = options;
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  /** The current file of a part of a model: `model/config.json`, say. */
  part(name: string): string {
    return partPath(this.path(name));
  }

  write(name: string, content: string | Uint8Array): string {
    writeFileSync(this.path(name), content);
    return name;
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  /** The current JSON file of a part of a model. */
  partJson(name: string) {
    return JSON.parse(readFileSync(this.part(name), 'utf8'));
  }

  /** The lines of a file of JSON lines. */
  jsonLines(name: string) {
    return this.read(name)
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  }

  /** `started` gets the process, which is the command's own, for tests that interrupt it. */
  run(
    command: string | readonly string[],
    options: { env?: Record<string, string>; started?(child: ChildProcess): void } = {},
  ): Promise<Outcome> {
    const { processes = 'own', cpu = false } = this.#options;
    const args = typeof command === 'string' ? command.split(' ') : [...command];
    if (cpu && COMPUTES.includes(args[0]) && !args.includes('--device')) args.push('--device', 'cpu');
    if (processes === 'one' && !options.env && !options.started) {
      const outcome = this.#last.then(() => this.#runShared(args));
      this.#last = outcome.catch(() => {});
      return outcome;
    }
    return new Promise((resolve, reject) => {
      const env = { ...process.env, ...options.env };
      const child = spawn(process.execPath, [main, ...args], {
        cwd: this.dir,
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const outcome = { code: null, stdout: '', stderr: '' } as Outcome;
      child.stdout.setEncoding('utf8').on('data', (text) => (outcome.stdout += text));
      child.stderr.setEncoding('utf8').on('data', (text) => (outcome.stderr += text));
      child.on('error', reject);
      child.on('close', (code) => resolve({ ...outcome, code }));
      options.started?.(child);
    });
  }

  #runShared(args: readonly string[]): Promise<Outcome> {
    const child = (this.#shared ??= fork(commands, { cwd: this.dir, execArgv: [] }));
    return new Promise((resolve, reject) => {
      const end = (code: number | null): void => {
        this.#shared = null;
        reject(new Error(`attune ${args.join(' ')}: ended its process with ${code}`));
      };
      child.once('exit', end).once('message', (outcome) => {
        child.off('exit', end);
        resolve(outcome as Outcome);
      });
      child.send(args);
    });
  }

  /** As `run`, of a command that succeeds. */
  async ok(command: string | readonly string[]): Promise<Outcome> {
    const outcome = await this.run(command);
    if (outcome.code !== 0) throw new Error(`${[command].flat().join(' ')}: ${outcome.code} ${outcome.stderr}`);
    return outcome;
  }

  /** Of a command that fails, and has said nothing but what it read: its exit code, and the one line of the error. */
  async fails(command: string | readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(command);
    const said = stdout.split('\n').filter((line) => line !== '' && !/^[^ ]+\.\w+: /.test(line));
    if (code === 0 || said.length > 0) throw new Error(`${[command].flat().join(' ')}: ${code} ${said.join('\n')}`);
    return `${code} ${oneLine(stderr)}`;
  }

  /** What a command prints with --json, and on standard error. */
  async answer(command: string | readonly string[]) {
    const args = typeof command === 'string' ? command.split(' ') : command;
    const { stdout, stderr } = await this.ok([...args, '--json']);
    if (stdout.trimEnd().includes('\n')) throw new Error(`expected one line of JSON, got:\n${stdout}`);
    return { result: JSON.parse(stdout), stderr };
  }

  /** What a command prints with --json: one line. */
  async json(command: string | readonly string[]) {
    return (await this.answer(command)).result;
  }

  remove(): void {
    this.#shared?.disconnect();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A workplace for the tests of a file, which is removed after them. */
export function openWorkplace(options: WorkplaceOptions = {}): Workplace {
  const place = new Workplace(options);
  afterAll(() => place.remove());
  return place;
}

/** The only line of standard error, without its prefix; throws if there are more. */
export function oneLine(stderr: string): string {
  const lines = stderr.trimEnd().split('\n');
  if (lines.length !== 1 || !lines[0].startsWith('attune: '))
    throw new Error(`expected one line of attune, got:\n${stderr}`);
  return lines[0].slice('attune: '.length);
}

/** The error that a command with --json ended with, as the line that it prints without. */
export function jsonError(stderr: string): string {
  const { setting, value, reason, hint } = JSON.parse(stderr.trimEnd().split('\n').at(-1) as string);
  const where = setting === null ? '' : `${setting}${value === undefined ? '' : ` ${value}`}: `;
  return `${where}${reason}${hint === null ? '' : `; ${hint}`}`;
}

/** A log in which items follow each other in a circle, so that the next item can be learned. */
export function circle(ids: readonly string[], users: number, length: number): string {
  const quote = (id: string) => (/[",]/.test(id) ? `"${id.replaceAll('"', '""')}"` : id);
  const rows = ['user,item,timestamp'];
  for (let u = 0; u < users; u++) {
    for (let t = 0; t < length; t++) rows.push(`u${u},${quote(ids[(u * 3 + t) % ids.length])},${1000 * t + u}`);
  }
  return `${rows.join('\n')}\n`;
}

/** Settings of a model small enough for the CPU device in a test. */
export const SMALL = '--set d=8 --set ff=16 --set blocks=1 --set window=16 --set budget=64'.split(' ');
