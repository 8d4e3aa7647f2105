/** Whether an op computes what its reference says, and whether its backward pass is its slope. */
import { Device } from '../device.ts';
import { mul } from '../ops/binary.ts';
import { sum } from '../ops/sum.ts';
import { normal } from '../random/random.ts';
import { type NumericArray, type Shape, sizeOf, type Tensor } from '../tensor.ts';

/** An input: its shape, and its values (standard normal numbers, if left out). Those of Uint32Arrays are u32, without a gradient. */
export interface CheckInput {
  shape: Shape;
  values?: Float32Array | Uint32Array;
  /** false for a constant, of which the op has no gradient. */
  grad?: boolean;
}

export interface CheckOptions {
  /** What device and reference may differ by: abs + rel · |reference|; 1e-5 and 1e-4 by default. */
  tolerance?: { abs: number; rel: number };
  /** Elements of each input whose slope is compared with central differences; 16 by default. */
  differences?: number;
}

interface Found {
  y: NumericArray;
  grads: Record<string, NumericArray>;
}

/** Step of central differences, in double precision, and the largest relative error of a slope. */
const STEP = 1e-5;
const SLOPE_ERROR = 1e-4;

/**
 * Runs an op on a device, eagerly and as a program that is recorded and replayed, and holds its output and the gradients of
 * Σ y · w (for fixed random w) to what the references give in double precision; those gradients are held to central differences.
 * Any function of the engine's ops and of `customOp` will do.
 *
 * @throws Error that names the first element that differs
 */
export async function checkOp(
  op: (inputs: Record<string, Tensor>) => Tensor,
  inputs: Readonly<Record<string, CheckInput>>,
  device: Device,
  { tolerance = { abs: 1e-5, rel: 1e-4 }, differences = 16 }: CheckOptions = {},
): Promise<void> {
  const double = await Device.open({ backend: 'cpu', precision: 'f64' });
  const data = new Map<string, NumericArray>(
    Object.entries(inputs).map(([name, { shape, values }], i) => [name, values ?? normal(sizeOf(shape), 1, i)]),
  );
  const expected = await run(op, inputs, data, double, false);
  for (const replayed of [false, true]) {
    const found = await run(op, inputs, data, device, replayed);
    const how = `on ${device.backend}${replayed ? ', replayed' : ''}`;
    compare('y', found.y, expected.y, how, tolerance);
    for (const [name, g] of Object.entries(expected.grads)) compare(`d${name}`, found.grads[name], g, how, tolerance);
  }
  const weights = weightsOf(expected.y.length);
  for (const [name, grad] of Object.entries(expected.grads)) {
    const stride = Math.max(1, Math.floor(grad.length / differences));
    for (let i = 0; i < grad.length; i += stride) {
      const at = async (delta: number): Promise<number> => {
        const moved = Float64Array.from(data.get(name) as NumericArray);
        moved[i] += delta;
        const { y } = await run(op, inputs, new Map([...data, [name, moved]]), double, false, false);
        return weights.reduce((total, w, k) => total + w * y[k], 0);
      };
      const slope = ((await at(STEP)) - (await at(-STEP))) / (2 * STEP);
      if (!(Math.abs(slope - grad[i]) <= SLOPE_ERROR * Math.max(1, Math.abs(slope), Math.abs(grad[i]))))
        throw new Error(`checkOp: the reference says d${name}[${i}] = ${grad[i]}, central differences say ${slope}`);
    }
  }
}

const weightsOf = (n: number): Float32Array => normal(n, 2, 0);

/** Output and gradients; with `replayed` those of a program's second run. */
async function run(
  op: (inputs: Record<string, Tensor>) => Tensor,
  inputs: Readonly<Record<string, CheckInput>>,
  data: ReadonlyMap<string, NumericArray>,
  device: Device,
  replayed: boolean,
  gradients = true,
): Promise<Found> {
  const leaves: Record<string, Tensor> = {};
  for (const [name, values] of data) {
    const requiresGrad = gradients && inputs[name].grad !== false && !(values instanceof Uint32Array);
    leaves[name] = device.tensor(values, inputs[name].shape, { label: name, requiresGrad }).keep();
  }
  let weights: Tensor | null = null;
  const step = (): { y: Tensor } => {
    const y = op(leaves);
    if (y.requiresGrad) {
      weights ??= device.scope(() => device.tensor(weightsOf(y.size), y.shape).keep());
      sum(mul(y, weights)).backward();
    }
    return { y };
  };
  // Made by a run that counts for nothing: a recorded step may not write from the host.
  const zero = (): void => {
    for (const { grad } of Object.values(leaves)) if (grad) device.write(grad, new Float32Array(grad.size));
  };
  device.scope(() => step());
  zero();
  let y: NumericArray;
  if (replayed) {
    const program = device.program('checkOp', step);
    program.run();
    zero();
    y = (await program.values()).y;
    program.dispose();
  } else {
    const made = device.scope(() => step().y.keep());
    y = await made.data();
    made.dispose();
  }
  const grads: Record<string, NumericArray> = {};
  for (const [name, t] of Object.entries(leaves)) {
    // An op without a gradient leaves none.
    if (t.grad && weights) grads[name] = await t.grad.data();
    t.dispose();
  }
  (weights as Tensor | null)?.dispose();
  return { y, grads };
}

function compare(
  what: string,
  found: NumericArray,
  expected: NumericArray,
  how: string,
  { abs, rel }: { abs: number; rel: number },
): void {
  for (let i = 0; i < expected.length; i++) {
    if (found[i] === expected[i] || (Number.isNaN(found[i]) && Number.isNaN(expected[i]))) continue;
    if (!(Math.abs(found[i] - expected[i]) <= abs + rel * Math.abs(expected[i])))
      throw new Error(`checkOp: ${what}[${i}] is ${found[i]} ${how}, the reference says ${expected[i]}`);
  }
}
