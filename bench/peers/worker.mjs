/**
 * One peer in a process of its own: `node worker.mjs PEER`. Requests come as JSON lines on standard input, answers go
 * to standard output as lines that begin with `@`, since some libraries print there too. peers/torch_peer.py answers
 * the same requests.
 *
 *   {"op":"make","spec":…}                      → {} , or {"absent":"why this peer has no such case"}
 *   {"op":"outputs","indices":{"name":[…]}}     → {"values":{"name":[…]}}
 *   {"op":"time","repeat":n,"expected":ms}      → {"ms":…} a run; `expected` is what all n are known to take, most of
 *                                                which the wait sleeps; "overslept" if they were done before it woke
 *   {"op":"drop"}                               → {}
 *
 * A peer's module exports `open(name)` → { device, make(spec, inputs) }, and `make` gives null or
 *   { run(), wait(results, expected), outputs(), time?(repeat, expected), dispose?() }; `wait` gives the ms it slept.
 */
import { createInterface } from 'node:readline';
import { makeInputs } from './data.mjs';

const name = process.argv[2];
const modules = { attune: 'attune', tfjs: 'tfjs', jaxjs: 'jaxjs', ort: 'ort' };
const answer = (value) => process.stdout.write(`@${JSON.stringify(value)}\n`);
const lineOf = (error) =>
  String(error?.message ?? error)
    .split('\n')[0]
    .slice(0, 300);

const { open } = await import(`./peers/${modules[name.split('-')[0]]}.mjs`);
let peer;
try {
  peer = await open(name);
  answer({ device: peer.device });
} catch (error) {
  answer({ absent: lineOf(error) });
  process.exit(0);
}

let current = null;
const operations = {
  async make({ spec }) {
    current = await peer.make(spec, makeInputs(spec.inputs));
    return current ? {} : { absent: `${name} has no such case` };
  },
  async outputs({ indices }) {
    const all = await current.outputs();
    return {
      values: Object.fromEntries(Object.entries(indices).map(([key, at]) => [key, at.map((i) => all[key]?.[i])])),
    };
  },
  async time({ repeat, expected }) {
    const started = performance.now();
    if (current.time) {
      const extra = await current.time(repeat, expected);
      return { ms: (performance.now() - started) / repeat, ...extra };
    }
    const results = [];
    for (let i = 0; i < repeat; i++) results.push(await current.run());
    const waiting = performance.now();
    const slept = (await current.wait(results, expected)) ?? 0;
    const end = performance.now();
    const overslept = slept > 0 && end - waiting - slept < 0.02 * slept + 1;
    return { ms: (end - started) / repeat, overslept };
  },
  async drop() {
    await current?.dispose?.();
    current = null;
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  try {
    answer(await operations[request.op](request));
  } catch (error) {
    if (process.env.ATTUNE_PEERS_DEBUG) console.error(error);
    answer({ absent: lineOf(error) });
  }
}
process.exit(0);
