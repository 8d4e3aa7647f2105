/**
 * The case table without a test runner, for machines that have none: `npm run bench:gpu` bundles this file and runs it
 * there. Prints JSON lines: each failure as a row, and counts of what ran; exits 0 whatever it found.
 */
import { parseArgs } from 'node:util';
import { Device } from '../../engine/index.ts';
import { cases } from './cases/index.ts';
import { mismatch, runForm } from './forms.ts';
import { type Case, firstCases, hasGradients, makeInputs, type Result, suite, wantedChoices } from './harness.ts';
import { expectedOf, runCase } from './run-case.ts';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '600' }, shard: { type: 'string', default: '0/1' } },
});
const deadline = 1000 * Number(values.seconds);
const [shard, shards] = values.shard.split('/').map(Number);
const emit = (line: object): boolean => process.stdout.write(`${JSON.stringify(line)}\n`);

const double = await Device.open({ backend: 'cpu', precision: 'f64', poison: true });
const open = (): Promise<Device> => Device.open({ backend: 'webgpu', poison: true });
let gpu = await open();

/** What is wrong with a case and one choice of kernel, or null; undefined where the adapter does not run the choice. */
async function check(run: () => Promise<string | null>): Promise<string | null | undefined> {
  try {
    return await run();
  } catch (error) {
    const message = String(error);
    return /no variant runs/.test(message) && gpu.gpu?.variants.forced.size ? undefined : message;
  } finally {
    gpu.gpu?.variants.forced.clear();
    // A device that failed must not fail the cases after it.
    if (gpu.gpu?.failure) gpu = await open();
  }
}

async function refused(c: Case): Promise<string | null> {
  try {
    await runCase({ ...c, gradients: false }, gpu, makeInputs(c));
  } catch (error) {
    return (error as Error).message.includes(c.refused as string) ? null : String(error);
  }
  return `expected to be refused: ${c.refused}`;
}

const equal = (a: Result, b: Result): boolean =>
  JSON.stringify([a.outputs.map((x) => [...x]), Object.entries(a.grads).map(([name, g]) => [name, ...g])]) ===
  JSON.stringify([b.outputs.map((x) => [...x]), Object.entries(b.grads).map(([name, g]) => [name, ...g])]);

async function report(c: Case, choice: string, run: () => Promise<string | null>): Promise<void> {
  const wrong = await check(run);
  if (wrong) emit({ row: { op: c.op, case: c.name, choice, wrong } });
  emit({ count: { [wrong === undefined ? 'unavailable' : wrong ? 'failed' : 'passed']: 1 } });
}

// The first case of each op comes first: with little time, a little of everything.
const first = new Set(firstCases(cases));
const all = suite(cases);
const ordered = [...all.filter((c) => first.has(c)), ...all.filter((c) => !first.has(c))];
const wanted = ordered.map((c) => ({ c, choices: c.refused ? [] : wantedChoices(c) }));
const mine = wanted.filter((_, i) => i % shards === shard);
emit({ count: { cases: mine.length } });
for (const { c, choices } of mine) {
  if (performance.now() > deadline) break;
  emit({ count: { ran: 1 } });
  if (c.refused) {
    await report(c, 'refused', () => refused(c));
    continue;
  }
  const { data, weights, result } = await expectedOf(c, double);
  const taken = hasGradients(c) ? weights : undefined;
  await report(c, 'as chosen', async () => {
    const [eager, replayed] = await runForm(c, gpu, data, taken, 'leaf', 'program');
    return mismatch(c, eager, result) ?? (equal(eager, replayed) ? null : 'a replay gave other numbers');
  });
  for (const { kernel, file } of choices) {
    if (performance.now() > deadline) break;
    await report(c, `${kernel} by ${file}`, async () => {
      gpu.gpu?.variants.forced.set(kernel, file);
      return mismatch(c, await runCase(c, gpu, data, weights), result);
    });
  }
}
emit({ device: gpu.name });
gpu.close();
double.close();
