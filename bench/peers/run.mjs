#!/usr/bin/env node
/**
 * `npm run bench:peers`: Attune beside other libraries, on the same inputs and the same adapter, in one run.
 *
 *   npm run -s bench:peers -- [--case NAME] [--peer NAME,…] [--rounds N] [--json]
 *
 * Every peer has a process of its own and rests while another is timed. A case's results are checked first, against
 * naive double-precision loops; then all peers take turns, round by round, and the median counts. What a peer cannot
 * do, or does wrong, is no row; standard error says why (and holds the table too, where --json takes standard output).
 * The peers' packages are installed here when first called for.
 */
import { spawn } from 'node:child_process';
import { cpus } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { packagesCurrent, setup } from '../../scripts/setup.mjs';
import { caseNames, kernelCases, trainSpec } from './cases.mjs';
import { makeInputs } from './data.mjs';
import { errorOf, expectedOf } from './reference.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const say = (line) => process.stderr.write(`${line}\n`);

/**
 * Largest deviation, over the root mean square of the result, with which a peer still counts: room for a plain f32 sum
 * over 1.6 million squares, which some take.
 */
const TOLERANCE = 2e-3;
/** A sample lasts at least this long, ms, within so many runs. */
const SAMPLE_MS = 200;
const MOST_RUNS = 64;
/** Between two peers: what spins after its work comes to rest. */
const REST_MS = 80;
/** A peer that answers no more is ended. */
const LIMIT_MS = 300_000;

const PEERS = [
  ...['attune', 'tfjs-webgpu', 'jaxjs-webgpu', 'ort-webgpu', 'tfjs-wasm', 'jaxjs-wasm', 'ort-cpu'],
  ...['torch-padded', 'torch-sorted', 'torch'],
];
const isWebgpu = (name) => name.endsWith('-webgpu');

const usage = (message) => {
  say(`bench:peers: ${message}`);
  process.exit(2);
};

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        case: { type: 'string' },
        peer: { type: 'string' },
        rounds: { type: 'string', default: '7' },
        json: { type: 'boolean', default: false },
      },
    });
    const rounds = Number(values.rounds);
    if (!Number.isInteger(rounds) || rounds < 1) usage(`--rounds ${values.rounds}: expected an integer >= 1`);
    const names = values.case?.split(',') ?? caseNames;
    const peers = values.peer?.split(',') ?? PEERS;
    for (const name of names) if (!caseNames.includes(name)) usage(`--case ${name}: there is ${caseNames.join(', ')}`);
    for (const name of peers) if (!PEERS.includes(name)) usage(`--peer ${name}: there is ${PEERS.join(', ')}`);
    return { names, peers, rounds, json: values.json };
  } catch (error) {
    return usage(error.message);
  }
}

/** Runs a command to its end, its output on standard error. */
function command(file, args, env = {}) {
  return new Promise((resolve) => {
    const options = { cwd: here, stdio: ['ignore', 2, 2], env: { ...process.env, ...env } };
    spawn(file, args, options)
      .on('error', () => resolve(127))
      .on('close', (code) => resolve(code ?? 1));
  });
}

async function installPeers() {
  if (packagesCurrent(here)) return;
  say('bench:peers: installing the peers in bench/peers/ (npm ci)');
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const code = await command('npm', args, { ONNXRUNTIME_NODE_INSTALL: 'skip' });
  if (code !== 0) throw new Error('npm ci in bench/peers/ failed');
}

/** A Python that has PyTorch, or null. */
async function findPython() {
  for (const python of ['python3', '/usr/bin/python3']) {
    const found = await new Promise((resolve) => {
      spawn(python, ['-c', 'import torch, numpy'], { stdio: 'ignore' })
        .on('error', () => resolve(false))
        .on('close', (code) => resolve(code === 0));
    });
    if (found) return python;
  }
  return null;
}

/** A peer's process and the line protocol of worker.mjs. */
class Peer {
  #waiting = [];
  #ended = false;

  constructor(name, python) {
    this.name = name;
    const torch = name.startsWith('torch');
    const [file, script] = torch ? [python, 'peers/torch_peer.py'] : [process.execPath, 'worker.mjs'];
    const env = { ...process.env, OPENBLAS_NUM_THREADS: '2', OMP_NUM_THREADS: '2', TF_CPP_MIN_LOG_LEVEL: '3' };
    this.child = spawn(file, [script, name], { cwd: here, env, stdio: ['pipe', 'pipe', 2] });
    this.child.stdin.on('error', () => {});
    this.child.on('error', () => this.#end());
    this.child.on('close', () => this.#end());
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      if (line.startsWith('@')) this.#waiting.shift()?.(JSON.parse(line.slice(1)));
    });
    this.hello = this.#answer();
  }

  #end() {
    this.#ended = true;
    for (const give of this.#waiting.splice(0)) give({ absent: 'its process ended' });
  }

  #answer() {
    if (this.#ended) return Promise.resolve({ absent: 'its process ended' });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async ask(op, rest = {}) {
    const answer = this.#answer();
    if (!this.#ended) this.child.stdin.write(`${JSON.stringify({ op, ...rest })}\n`);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), LIMIT_MS);
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
    }
  }

  close() {
    this.child.stdin.end();
  }
}

/** Makes a case in a peer and compares what it gives. @returns the error, or null where it has no such case */
async function check(peer, spec, expected) {
  const made = await peer.ask('make', { spec });
  if (made.absent) return refuse(peer, spec, made.absent);
  const { values, absent } = await peer.ask('outputs', { indices: indicesOf(expected) });
  if (absent) return refuse(peer, spec, absent);
  const error = errorOf(expected, values);
  if (!(error <= TOLERANCE)) {
    return refuse(peer, spec, `its result is off by ${error.toExponential(1)} (at most ${TOLERANCE}): not timed`);
  }
  return error;
}

/** Whether the result still holds after all the runs, where they do not train. @returns what is wrong, or undefined */
async function checkAgain({ peer }, [small, expected], spec) {
  if (small !== spec || spec.kind === 'train') return undefined;
  const { values, absent } = await peer.ask('outputs', { indices: indicesOf(expected) });
  const error = absent ? 0 : errorOf(expected, values);
  return absent ?? (error <= TOLERANCE ? undefined : `after its runs its result is off by ${error.toExponential(1)}`);
}

const indicesOf = (expected) =>
  Object.fromEntries(Object.entries(expected).map(([name, { indices }]) => [name, indices]));

async function refuse(peer, spec, why) {
  if (!why.endsWith('has no such case')) say(`  ${peer.name}: no ${spec.name}: ${why}`);
  await peer.ask('drop');
  return null;
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

/** The checks of a case: what must hold before `spec` itself is timed, and what is right there. */
async function checksOf(name) {
  if (name === 'sasrec-step') {
    const { sasrecCase, STEP_TOKENS } = await import('./sequences.mjs');
    const { spec, check: small, expected, about } = await sasrecCase();
    say(`  ${about}; ms is for ${STEP_TOKENS} of them`);
    return { spec, stepTokens: STEP_TOKENS, checks: [[small, expected]] };
  }
  const spec = kernelCases.find((c) => c.name === name);
  const checks = [[spec, expectedOf(spec, makeInputs(spec.inputs))]];
  if (name === 'train') {
    const small = { ...trainSpec(300), checkSteps: 4 };
    checks.unshift([small, expectedOf(small, makeInputs(small.inputs))]);
  }
  return { spec, checks };
}

/** Runs a case on all peers. @returns rows as --json prints them */
async function runCase(name, peers, rounds) {
  say(`${name}`);
  const { spec, checks, stepTokens } = await checksOf(name);
  const turns = [];
  for (const peer of peers) {
    let maxError = 0;
    for (const [small, expected] of checks) {
      const error = await check(peer, small, expected);
      maxError = error === null ? null : Math.max(maxError, error);
      if (maxError === null) break;
      if (small !== spec) await peer.ask('drop');
    }
    if (maxError === null) continue;
    const made = checks.some(([small]) => small === spec) ? {} : await peer.ask('make', { spec });
    const turn = { peer, maxError, samples: [], repeat: 1, expected: 0 };
    // The first run compiles; the second one says how many make a sample.
    const failed = made.absent ?? (await sampleOf(turn, 0)) ?? (await sampleOf(turn, 0));
    if (failed) {
      await refuse(peer, spec, failed);
      continue;
    }
    turn.repeat = stepTokens ? 1 : Math.max(1, Math.min(MOST_RUNS, Math.ceil(SAMPLE_MS / turn.samples[1].ms)));
    turn.expected = turn.samples[1].ms * turn.repeat;
    turn.samples = [];
    turns.push(turn);
  }
  for (let round = 0; round < rounds; round++) {
    const first = round % Math.max(1, turns.length);
    for (const turn of [...turns.slice(first), ...turns.slice(0, first)]) {
      if (turn.failed) continue;
      await sleep(REST_MS);
      turn.failed = await sampleOf(turn, turn.expected);
      turn.expected = Math.min(...turn.samples.map((s) => s.ms)) * turn.repeat;
    }
  }
  const rows = [];
  for (const turn of turns) {
    if (!turn.failed) turn.failed = await checkAgain(turn, checks.at(-1), spec);
    await turn.peer.ask('drop');
    if (turn.failed) say(`  ${turn.peer.name}: ${turn.failed}`);
    else {
      const perStep = turn.samples.map((s) => (stepTokens ? (s.ms * stepTokens) / (s.tokens ?? spec.tokens) : s.ms));
      const ms = median(perStep);
      rows.push({ case: name, peer: turn.peer.name, ms, gflops: spec.flop / ms / 1e6, maxError: turn.maxError });
      const [low, high] = [Math.min(...perStep), Math.max(...perStep)];
      say(
        `  ${turn.peer.name.padEnd(13)} ${ms.toFixed(2)} ms (${low.toFixed(2)} to ${high.toFixed(2)}), off by ${turn.maxError.toExponential(1)}`,
      );
    }
  }
  return rows;
}

/**
 * Times a turn once, and again where the wait slept longer than the work took, which would hide how fast it is.
 * @returns why it could not be, or undefined
 */
async function sampleOf(turn, expected) {
  for (let sleep = expected; ; sleep *= 0.75) {
    const { ms, tokens, overslept, absent } = await turn.peer.ask('time', { repeat: turn.repeat, expected: sleep });
    if (absent) return absent;
    if (overslept) continue;
    turn.samples.push({ ms, tokens: tokens && tokens / turn.repeat });
    return undefined;
  }
}

/** One row a case: ms by peer, GFLOP/s of Attune, and Attune against the fastest WebGPU peer and PyTorch. */
async function tableOf(rows, names) {
  const { table } = await import('../../dist/cli/output/ui.js');
  const peers = PEERS.filter((p) => rows.some((r) => r.peer === p));
  const show = (x) => (x === undefined ? '–' : x < 10 ? x.toFixed(2) : x < 100 ? x.toFixed(1) : x.toFixed(0));
  const body = names.map((name) => {
    const of = (peer) => rows.find((r) => r.case === name && r.peer === peer);
    const fastest = (some) => Math.min(...rows.filter((r) => r.case === name && some(r.peer)).map((r) => r.ms));
    const times = (ms) => (of('attune') && Number.isFinite(ms) ? `${(ms / of('attune').ms).toFixed(2)}×` : '–');
    return [
      name,
      ...peers.map((peer) => show(of(peer)?.ms)),
      show(of('attune')?.gflops),
      times(fastest(isWebgpu)),
      times(fastest((p) => p === 'torch' || p === 'torch-padded')),
    ];
  });
  const head = ['ms', ...peers, 'attune GFLOP/s', 'vs WebGPU', 'vs PyTorch'];
  return table(head, body);
}

const { names, peers: wanted, rounds, json } = readArguments();
let failed = false;
let running = [];
try {
  const { adapter } = await setup('start');
  if (!adapter) throw new Error('no WebGPU adapter: `npm run attune -- doctor` says what is missing');
  await installPeers();
  const needsTorch = wanted.some((name) => name.startsWith('torch'));
  const python = needsTorch ? await findPython() : null;
  if (needsTorch && !python) say('bench:peers: no python3 with PyTorch (Debian: python3-torch libopenblas0-pthread)');
  say(`${adapter} · ${cpus().length} × ${cpus()[0]?.model} · Node ${process.versions.node} · ${rounds} rounds`);
  const rows = [];
  const introduced = new Set();
  for (const name of names) {
    const takesPart = (peer) =>
      wanted.includes(peer) && (name === 'sasrec-step' ? /^(attune|torch-.*)$/ : /^(?!torch-)/).test(peer);
    // New processes for each case: what one leaves behind (tfjs keeps buffers) must not touch the next.
    running = PEERS.filter((p) => takesPart(p) && (python || !p.startsWith('torch'))).map((p) => new Peer(p, python));
    const present = [];
    for (const peer of running) {
      const { device, absent } = await peer.hello;
      if (absent) say(`  ${peer.name} takes no part: ${absent}`);
      else present.push(peer);
      if (device && !introduced.has(peer.name)) say(`${peer.name}: ${device}`);
      introduced.add(peer.name);
    }
    const found = await runCase(name, present, rounds);
    for (const peer of running) peer.close();
    if (wanted.includes('attune') && !found.some((r) => r.peer === 'attune')) failed = true;
    rows.push(...found);
  }
  const shown = await tableOf(rows, names);
  if (json) say(shown);
  process.stdout.write(`${json ? JSON.stringify(rows) : shown}\n`);
} catch (error) {
  say(`bench:peers: ${error.message}`);
  process.exitCode = 3;
}
for (const peer of running) peer.close();
if (failed) process.exitCode = 3;
