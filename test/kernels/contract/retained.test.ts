/** A forward pass that is retained is differentiated again: every op gives the same gradient a second time. */
import { describe, expect, it } from 'vitest';
import { add, crossEntropy, matmul, mul, sum, type Tensor } from '../../../engine/index.ts';
import { cases } from '../cases/index.ts';
import { cpu, gpu } from '../devices.ts';
import { type Case, differentiable, hasGradients, makeInputs, STATE } from '../harness.ts';
import { leaf, u } from './values.ts';

/** The first case of each op that has a gradient. */
const differentiated = (() => {
  const seen = new Set<string>();
  return cases.filter((c) => !c.refused && hasGradients(c) && !seen.has(c.op) && seen.add(c.op));
})();

/** The gradients of a case after one backward pass or two. */
async function gradients(c: Case, times: number): Promise<number[][]> {
  const data = makeInputs(c);
  const leaves: Record<string, Tensor> = {};
  for (const [name, spec] of Object.entries(c.inputs))
    leaves[name] = cpu.tensor(data[name], spec.shape, { label: name, requiresGrad: differentiable(spec) });
  cpu.setState(c.state ?? STATE);
  cpu.opCounter = 0;
  const made = c.prepare?.(cpu);
  cpu.scope(() => {
    const outputs = [c.run(leaves, cpu, made)].flat().filter((t) => t.requiresGrad);
    const loss = outputs.map((y) => sum(mul(y, y))).reduce((a, b) => add(a, b));
    for (let i = 1; i <= times; i++) loss.backward({ retainGraph: i < times });
    expect(() => loss.backward()).toThrow('call the earlier one with { retainGraph: true }');
  });
  made?.dispose();
  const found = Object.values(leaves).filter((t) => t.requiresGrad);
  return Promise.all(found.map(async (t) => [...(await (t.grad as Tensor).data())]));
}

describe('a retained forward pass', () => {
  it.each(differentiated.map((c) => [c.op, c] as const))('%s', async (_, c) => {
    const [once, twice] = [await gradients(c, 1), await gradients(c, 2)];
    for (const [i, g] of once.entries())
      g.forEach((x, k) => expect(Math.abs(twice[i][k] - 2 * x)).toBeLessThanOrEqual(1e-5 + 1e-4 * Math.abs(x)));
  });

  it.each([
    ['cpu', cpu],
    ['webgpu', gpu],
  ] as const)('of which two losses share a part gives the gradient of their sum on %s', async (_, device) => {
    const run = async (apart: boolean): Promise<number[]> => {
      const [x, w, table] = [leaf(device, 8, 8), leaf(device, 8, 8), leaf(device, 16, 8)];
      device.scope(() => {
        const shared = matmul(matmul(x, w, { activation: 'gelu' }), w, { activation: 'relu' });
        const [first, second] = [sum(mul(shared, shared)), crossEntropy(shared, table, u(device, 8))];
        if (apart) {
          first.backward({ retainGraph: true });
          second.backward();
        } else add(first, second).backward();
      });
      const grads = [x, w, table].map((t) => (t.grad as Tensor).data());
      return (await Promise.all(grads)).flatMap((g) => [...g]);
    };
    const [apart, together] = [await run(true), await run(false)];
    apart.forEach((g, i) => expect(g).toBeCloseTo(together[i], 4));
    expect(together.some((g) => g !== 0)).toBe(true);
  });
});
