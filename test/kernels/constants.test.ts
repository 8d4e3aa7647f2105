/**
 * No op drops a gradient: whichever f32 input is the only leaf, an output requires a gradient, or the op refuses the
 * input by name. The checks are the same on every device, so that one holds them.
 */
import { expect, it } from 'vitest';
import { Device, type Tensor } from '../../engine/index.ts';
import { cases } from './cases/index.ts';
import { makeInputs } from './harness.ts';

// The optimizer ends a step: what it is given is spent.
// What is constant but for steps has a gradient of 0, which nobody misses.
const STEPS = new Set('equal notEqual less lessEqual greater greaterEqual argmax argmin'.split(' '));
const ops = [...new Set(cases.map((c) => c.op))].filter((op) => !/^(adamw|sgd)/.test(op) && !STEPS.has(op));

it.each(ops)('%s', async (op) => {
  const device = await Device.open({ backend: 'cpu' });
  const dropped = new Set<string>();
  const read = new Set<object>();
  const note = (tensors: Record<string, Tensor | null>): void => {
    for (const t of Object.values(tensors)) if (t) read.add(t.storage);
  };
  const { run, runReference } = device;
  device.run = (...args) => {
    note(args[2]);
    run.apply(device, args);
  };
  device.runReference = (...args) => {
    note(args[2]);
    runReference.apply(device, args);
  };
  // The first three cases of a kind of inputs: what is passed decides, not its size.
  const kinds = new Map<string, number>();
  for (const c of cases.filter((x) => x.op === op && !x.refused)) {
    const kind = Object.keys(c.inputs).join();
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    if ((kinds.get(kind) as number) > 3) continue;
    const data = makeInputs(c);
    for (const [leaf, { dtype }] of Object.entries(c.inputs)) {
      if (dtype === 'u32') continue;
      device.scope(() => {
        device.setState(new Uint32Array(16));
        const inputs: Record<string, Tensor> = {};
        for (const [name, spec] of Object.entries(c.inputs))
          inputs[name] = device.tensor(data[name], spec.shape, { label: name, requiresGrad: name === leaf });
        const made = c.prepare?.(device);
        read.clear();
        try {
          const out = [c.run(inputs, device, made)].flat();
          if (read.has(inputs[leaf].storage) && !out.some((y) => y.requiresGrad)) dropped.add(leaf);
        } catch (error) {
          // How ops refuse: their name, and that of what they were given: the leaf, or a result computed from it.
          const { message } = error as Error;
          const [, given] = /but (\w+) \[[\d,]*\] requires one/.exec(message) ?? [];
          const computed = given !== undefined && !Object.hasOwn(c.inputs, given);
          if (!(message.includes(leaf) || computed) || !/gradient/.test(message)) throw error;
        }
      });
    }
  }
  expect([...dropped], 'inputs whose gradient is dropped without a word').toEqual([]);
});
