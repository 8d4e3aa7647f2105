/**
 * ONNX's operator tests with the engine's ops: what has a counterpart must give what ONNX says, or is left out with the
 * variant or the type that the engine lacks; a wrong result fails. The files are of onnx/onnx (at 6be0677fc, for
 * instance): ATTUNE_ONNX=…/onnx/backend/test/data/node. Skipped, and said so, without.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Device, Tensor } from '../../engine/index.ts';
import { openDevice } from '../device.ts';
import { elementwise } from './elementwise.ts';
import { Call, Unsupported } from './node.ts';
import { products } from './products.ts';
import { type Model, readModel, readTensor, type Value } from './reader.ts';
import { shapes } from './shapes.ts';

const folder = process.env.ATTUNE_ONNX ?? '';
const MAPPING = { ...elementwise, ...shapes, ...products };
/** ONNX's own bounds. */
const [ABS, REL] = [1e-7, 1e-3];
/** Rounding of f32 where terms cancel; ONNX's own results of such sums are f64. */
const CANCELED = 2e-6;

interface Test {
  name: string;
  op: string;
  model: Model;
  inputs: Map<string, Value>;
  outputs: Value[];
}

function readTest(name: string): Test | null {
  const model = readModel(readFileSync(join(folder, name, 'model.onnx')));
  if (model.nodes.length !== 1 || !Object.hasOwn(MAPPING, model.nodes[0].op)) return null;
  const set = join(folder, name, 'test_data_set_0');
  const read = (kind: string, i: number): Value => readTensor(readFileSync(join(set, `${kind}_${i}.pb`)));
  const count = (kind: string): number => readdirSync(set).filter((file) => file.startsWith(kind)).length;
  const inputs = new Map(model.inputs.map((input, i) => [input, read('input', i)]));
  const outputs = Array.from({ length: count('output') }, (_, i) => read('output', i));
  return { name, op: model.nodes[0].op, model, inputs, outputs };
}

/** What is wrong with a result, or null. */
async function wrong(y: Tensor, { shape, type, values }: Value): Promise<string | null> {
  if (`${y.shape}` !== `${shape}`) return `[${y.shape}], expected [${shape}]`;
  const got = await y.data();
  for (const [i, want] of values.entries()) {
    if (Object.is(got[i], want) || got[i] === want || (Number.isNaN(got[i]) && Number.isNaN(want))) continue;
    const bound = /float|double/.test(type) ? ABS + CANCELED + REL * Math.abs(want) : 0;
    if (!(Math.abs(got[i] - want) <= bound)) return `${got[i]} at ${i}, expected ${want}`;
  }
  return null;
}

async function run(device: Device, { model, op, inputs, outputs }: Test): Promise<string | null> {
  const made = [MAPPING[op](new Call(device, model, inputs))].flat();
  if (made.length !== outputs.length) return `${made.length} results, expected ${outputs.length}`;
  for (const [i, y] of made.entries()) {
    const why = await wrong(y, outputs[i]);
    if (why) return `result ${i}: ${why}`;
  }
  return null;
}

const there = existsSync(folder);
if (!there) process.stdout.write("ONNX's operator tests: skipped, ATTUNE_ONNX names no folder with them\n");

it.runIf(there).each(['cpu', 'wasm', 'webgpu'] as const)(
  'on %s no result is wrong',
  { timeout: 0 },
  async (backend) => {
    const device = await openDevice({ backend });
    const counts = new Map<string, { passed: number; unsupported: number; wrong: number }>();
    const failures: string[] = [];
    const reasons = new Map<string, number>();
    for (const name of readdirSync(folder).sort()) {
      const test = readTest(name);
      if (!test) continue;
      const count = counts.get(test.op) ?? { passed: 0, unsupported: 0, wrong: 0 };
      counts.set(test.op, count);
      try {
        const why = await run(device, test);
        count[why === null ? 'passed' : 'wrong']++;
        if (why !== null) failures.push(`${name}: ${why}`);
      } catch (error) {
        if (error instanceof Unsupported) {
          count.unsupported++;
          reasons.set(error.message, (reasons.get(error.message) ?? 0) + 1);
        } else {
          count.wrong++;
          failures.push(`${name}: ${(error as Error).message}`);
        }
      }
    }
    const total = { passed: 0, unsupported: 0, wrong: 0 };
    const lines = [...counts].map(([op, c]) => {
      for (const key of ['passed', 'unsupported', 'wrong'] as const) total[key] += c[key];
      return `${op} ${c.passed}${c.unsupported ? ` (${c.unsupported} unsupported)` : ''}${c.wrong ? `, ${c.wrong} WRONG` : ''}`;
    });
    const left = [...reasons].map(([reason, n]) => `${n} × ${reason}`);
    process.stdout.write(
      `ONNX's operator tests on ${backend}: ${total.passed} passed, ${total.unsupported} unsupported, ${total.wrong} wrong\n${lines.join('; ')}\nunsupported: ${left.join('; ')}\n`,
    );
    expect(failures).toEqual([]);
    expect(total.passed).toBeGreaterThanOrEqual(400);
  },
);
