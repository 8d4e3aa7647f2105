/** Runs a case of the table: its outputs, its gradients, and what central differences say of them. */
import type { Device, NumericArray } from '../../engine/index.ts';
import { FULL } from '../full.ts';
import { runForm } from './forms.ts';
import { type Case, makeInputs, makeWeights, type Result } from './harness.ts';

/** Runs a case on a device, eagerly: outputs, and the gradients of Σ outputs · w for fixed random w. */
export async function runCase(
  c: Case,
  device: Device,
  data: Record<string, NumericArray>,
  weights?: NumericArray[],
): Promise<Result> {
  const [result] = await runForm(c, device, data, c.gradients === false ? undefined : weights, 'leaf', 'eager');
  return result;
}

export interface Expected {
  data: Record<string, NumericArray>;
  weights: NumericArray[];
  result: Result;
}

/** What the references give, on a device of double precision. */
export async function expectedOf(c: Case, double: Device): Promise<Expected> {
  const data = makeInputs(c);
  const { outputs } = await runCase({ ...c, gradients: false }, double, data);
  const weights = makeWeights(c, outputs);
  return { data, weights, result: await runCase(c, double, data, weights) };
}

/** Largest relative error of the reference's gradients against central differences (at most `most` or so elements an input). */
export async function gradientError(
  c: Case,
  device: Device,
  data: Record<string, NumericArray>,
  weights: NumericArray[],
  grads: Record<string, NumericArray>,
  most = FULL ? 48 : 16,
): Promise<{ error: number; where: string }> {
  const h = 1e-5;
  let worst = { error: 0, where: '' };
  const objective = async (name: string, i: number, delta: number): Promise<number> => {
    const moved = { ...data, [name]: Float64Array.from(data[name]) };
    moved[name][i] += delta;
    const { outputs } = await runCase({ ...c, gradients: false }, device, moved);
    return outputs.reduce((sum, o, k) => sum + (o as Float64Array).reduce((s, v, j) => s + v * weights[k][j], 0), 0);
  };
  for (const [name, grad] of Object.entries(grads)) {
    const stride = Math.max(1, Math.floor(grad.length / most));
    for (let i = 0; i < grad.length; i += stride) {
      const numeric = ((await objective(name, i, h)) - (await objective(name, i, -h))) / (2 * h);
      const error = Math.abs(numeric - grad[i]) / Math.max(1, Math.abs(numeric), Math.abs(grad[i]));
      if (!(error <= worst.error)) worst = { error, where: `d${name}[${i}] = ${grad[i]}, differences say ${numeric}` };
    }
  }
  return worst;
}
