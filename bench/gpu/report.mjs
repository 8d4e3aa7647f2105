/** The JSON file of a run: written after every line of a part, at most once a second, and
 * after every part; at the end with a summary, which is printed, too. */
import { renameSync, writeFileSync } from 'node:fs';
import { summaryOf } from './summary.mjs';

const say = (text) => process.stderr.write(`bench:gpu: ${text}\n`);

export class Report {
  #file;
  #all;
  #part = null;
  #started = 0;
  #written = 0;

  /** @param {object} about what is known of the machine and the run */
  constructor(file, about) {
    this.#file = file;
    this.#all = { started: new Date().toISOString(), ...about, seconds: null, parts: {} };
    this.#write();
  }

  begin(name, seconds) {
    this.#part = { status: 'running', seconds: null, limit: Math.round(seconds), result: {} };
    this.#all.parts[name] = this.#part;
    this.#started = performance.now();
    say(`${name} (at most ${Math.round(seconds)} s)`);
    this.#write();
  }

  /** Takes a line of a part: `{ row }` adds a row, `{ count }` adds up, other keys are set. */
  add({ row, count, ...others }) {
    const { result } = this.#part;
    if (row) (result.rows ??= []).push(row);
    for (const [key, n] of Object.entries(count ?? {})) {
      result.count ??= {};
      result.count[key] = (result.count[key] ?? 0) + n;
    }
    Object.assign(result, others);
    if (performance.now() - this.#written > 1000) this.#write();
  }

  /** @param {{ status: string, reason?: string }} outcome done, stopped at its limit, skipped, or failed */
  end(outcome) {
    const { result } = this.#part;
    if (outcome.status === 'done' && result.skipped)
      Object.assign(outcome, { status: 'skipped', reason: result.skipped });
    Object.assign(this.#part, outcome, { seconds: round((performance.now() - this.#started) / 1000) });
    say(`  ${[outcome.status, `${this.#part.seconds} s`, outcome.reason].filter(Boolean).join(', ')}`);
    this.#write();
  }

  finish(seconds) {
    this.#all.seconds = round(seconds);
    const summary = summaryOf(this.#all);
    this.#all.summary = summary;
    this.#write();
    process.stdout.write(`${[...summary, this.#file].join('\n')}\n`);
  }

  #write() {
    writeFileSync(`${this.#file}.tmp`, `${JSON.stringify(this.#all, null, 1)}\n`);
    renameSync(`${this.#file}.tmp`, this.#file);
    this.#written = performance.now();
  }
}

const round = (seconds) => Math.round(seconds * 10) / 10;
