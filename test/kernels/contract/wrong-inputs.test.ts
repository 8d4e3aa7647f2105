/** Every op, by its rows of the case table, with inputs of another type or shape: what it refuses names the op. */
import { describe, expect, it } from 'vitest';
import type { Shape, Tensor } from '../../../engine/index.ts';
import * as engine from '../../../engine/index.ts';
import { cases } from '../cases/index.ts';
import { cpu } from '../devices.ts';
import { type Case, firstCases, makeInputs } from '../harness.ts';

/** Inputs that may be of either type: what moves values takes bits as they are. */
const EITHER = /^(?:copy|concat|slice|gather|fill|transpose|permute|cached-attention) |^where condition$/;

/** Inputs that a first case has and its op does not read: they are switched off there. */
const UNREAD =
  /^(?:sgd m|sampled-loss logq|adamw-rows (?:last|average)\d*|adagrad-rows (?:m|v|average|last|history)\d*)$/;

/** How messages may begin: the functions of the engine, and what they call themselves. */
const NAMES = new Set([
  ...Object.keys(engine).filter((name) => /^[a-z]/.test(name)),
  ...['adamw', 'sgd', 'adamw-rows', 'adagrad-rows', 'view', 'reshape', 'PackedTable', 'CodedTable'],
]);

/** The first cases of an op that differ in the names of their inputs. */
const kinds = (op: string): Case[] => {
  const seen = new Set<string>();
  return cases.filter((c) => {
    const key = Object.keys(c.inputs).join();
    return c.op === op && !c.refused && !seen.has(key) && seen.add(key);
  });
};

/** What the op says with one input changed; null where it takes it. */
function said(c: Case, changed: string, how: 'type' | 'longer' | 'axis'): string | null {
  const data = makeInputs(c);
  return cpu.scope(() => {
    const inputs: Record<string, Tensor> = {};
    for (const [name, { shape, dtype = 'f32' }] of Object.entries(c.inputs)) {
      let to: Shape = shape;
      let values = data[name];
      if (name === changed && how === 'longer') to = [...shape.slice(0, -1), (shape.at(-1) ?? 0) + 1];
      if (name === changed && how === 'axis') to = [1, ...shape];
      const size = to.reduce((a, b) => a * b, 1);
      if (name === changed && (how === 'type') !== (dtype === 'u32')) values = new Uint32Array(size);
      else if (size !== values.length || name === changed) values = new Float32Array(size);
      inputs[name] = cpu.tensor(values, to, { label: name });
    }
    const made = c.prepare?.(cpu);
    try {
      cpu.setState(new Uint32Array(16));
      cpu.noGrad(() => c.run(inputs, cpu, made));
      return null;
    } catch (error) {
      return (error as Error).message;
    } finally {
      made?.dispose();
    }
  });
}

describe('inputs of another', () => {
  const ops = firstCases(cases).map(({ op }) => op);

  it.each(ops)('type are refused, and of another shape taken or refused, by the name of the op: %s', (op) => {
    const wrong: string[] = [];
    for (const c of kinds(op)) {
      for (const name of Object.keys(c.inputs)) {
        const type = said(c, name, 'type');
        if (type === null && !EITHER.test(`${op} ${name}`) && !UNREAD.test(`${op} ${name}`))
          wrong.push(`${c.name}: takes ${name} of another type`);
        for (const message of [type, said(c, name, 'longer'), said(c, name, 'axis')]) {
          if (message !== null && !NAMES.has(message.split(': ')[0])) wrong.push(`${c.name}: ${name}: ${message}`);
          if (message !== null && !/\[[\d,]*\]/.test(message)) wrong.push(`${c.name}: no shape in: ${message}`);
        }
      }
    }
    expect([...new Set(wrong)]).toEqual([]);
  });
});
