/** Runs the built command as users do, in a folder of its own. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { partPath } from '../model/parts.ts';

const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const commands = fileURLToPath(new URL('commands.mjs', import.meta.url));

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * @property processes `own`: each command has its own, as with users. `one`: they share one, which takes a third of the
 *   time. Those of the documentation, which has every command, have their own.
 */
export interface WorkplaceOptions {
  processes?: 'own' | 'one';
}

export class Workplace {
  readonly dir = mkdtempSync(join(tmpdir(), 'attune-cli-'));
  readonly #processes: 'own' | 'one';
  #shared: ChildProcess | null = null;
  /** What the shared process does, one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor({ processes = 'own' }: WorkplaceOptions = {}) {
    if (!existsSync(command)) throw new Error('dist/ is missing: npm run build');
    this.#processes = processes;
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

  /** `started` gets the process, which is the command's own, for tests that interrupt it. */
  run(
    args: readonly string[],
    options: { env?: Record<string, string>; started?(child: ChildProcess): void } = {},
  ): Promise<Outcome> {
    if (this.#processes === 'one' && !options.env && !options.started) {
      const outcome = this.#last.then(() => this.#runShared(args));
      this.#last = outcome.catch(() => {});
      return outcome;
    }
    return new Promise((resolve, reject) => {
      const env = { ...process.env, ...options.env };
      const child = spawn(process.execPath, [command, ...args], {
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
  async ok(args: readonly string[]): Promise<Outcome> {
    const outcome = await this.run(args);
    if (outcome.code !== 0) throw new Error(outcome.stderr);
    return outcome;
  }

  /** What a command prints with --json: one line. */
  async json(args: readonly string[]) {
    const { stdout } = await this.ok([...args, '--json']);
    if (stdout.trimEnd().includes('\n')) throw new Error(`expected one line of JSON, got:\n${stdout}`);
    return JSON.parse(stdout);
  }

  remove(): void {
    this.#shared?.disconnect();
    rmSync(this.dir, { recursive: true, force: true });
  }
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

/** A model small enough for the CPU device in a test. */
export const SMALL = '--device cpu --set d=8 --set ff=16 --set blocks=1 --set window=16 --set budget=64'.split(' ');
