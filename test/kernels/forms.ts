/**
 * The forms in which an input may reach an op. Whatever the form, the op must give the same values and gradients: as a
 * leaf, as a reshaped view of a leaf of another shape, as a reshaped view of another op's result, as such a result that
 * is used twice and once more in its own shape, and as a parameter of an arena. Each runs eagerly, or as a program that
 * is recorded and then replayed over poisoned slots.
 */
import {
  add,
  adamwStatus,
  adamwStep,
  type Device,
  fill,
  mul,
  type NumericArray,
  ParameterArena,
  scale,
  type Shape,
  sum,
  type Tensor,
} from '../../engine/index.ts';
import { type Case, differentiable, firstMismatch, type Result, STATE } from './harness.ts';

export type Form = 'leaf' | 'view' | 'value' | 'twice' | 'parameter' | 'shared';
/** All but `shared`, where one tensor is all inputs of a size: its values are others, and an op may refuse it. */
export const FORMS: Form[] = ['leaf', 'view', 'value', 'twice', 'parameter'];

/** Gradients of the cases are about 1: enough to see it taken out again. */
const GRADIENT_SCALE = 4;

/** A shape of equal size whose last axis differs, where one can. */
const another = (shape: Shape): Shape => {
  const size = shape.reduce((a, b) => a * b, 1);
  return shape.length === 1 ? [size, 1] : [size];
};

/** How often the op's gradient arrives in a leaf of this form, and what the other uses add to each element. */
export const FACTOR: Record<Form, { times: number; plus: number }> = {
  leaf: { times: 1, plus: 0 },
  view: { times: 1, plus: 0 },
  value: { times: 1, plus: 0 },
  twice: { times: 2, plus: 1 },
  parameter: { times: 1, plus: 0 },
  shared: { times: 1, plus: 0 },
};

/** The input that is in the place of this one where inputs of a size are one tensor. */
function placeOf(c: Case, name: string): string {
  const size = (of: string): number => c.inputs[of].shape.reduce((a, b) => a * b, 1);
  const same = (of: string): boolean => differentiable(c.inputs[of]) && size(of) === size(name);
  return differentiable(c.inputs[name]) ? (Object.keys(c.inputs).find(same) as string) : name;
}

/** Whether two inputs of a case have one size, so that one tensor may be both. */
export const canShare = (c: Case): boolean => Object.keys(c.inputs).some((name) => placeOf(c, name) !== name);

interface Bound {
  /** What holds the data, and the gradients. */
  leaves: Record<string, Tensor>;
  arena: ParameterArena | null;
  /** The op's inputs; called within the step. */
  inputs(): { inputs: Record<string, Tensor>; values: Tensor[] };
  dispose(): void;
}

function bind(c: Case, device: Device, data: Record<string, NumericArray>, form: Form, wantsGrad: boolean): Bound {
  const leaves: Record<string, Tensor> = {};
  const specs = Object.entries(c.inputs);
  const trained = (name: string): boolean => wantsGrad && differentiable(c.inputs[name]);
  const isValue = (name: string): boolean =>
    (form === 'value' || form === 'twice') && trained(name) && !c.leaves?.includes(name);
  const inArena = form === 'parameter' ? specs.filter(([name]) => trained(name)) : [];
  const arena =
    inArena.length > 0
      ? new ParameterArena(
          device,
          // What lies behind each parameter belongs to another one.
          inArena.flatMap(([name, { shape }]) => [
            { name, shape, decay: false, init: data[name] },
            { name: `after ${name}`, shape: [3], decay: false, init: Float32Array.of(1, 2, 3) },
          ]),
        )
      : null;
  for (const [name, { shape }] of specs) {
    if (form === 'shared' && trained(name) && placeOf(c, name) !== name) continue;
    const form_ = trained(name) && form !== 'leaf' ? another(shape) : shape;
    leaves[name] =
      arena && trained(name)
        ? arena.get(name)
        : device.tensor(data[name], form_, { label: name, requiresGrad: trained(name) });
  }
  return {
    leaves,
    arena,
    inputs: () => {
      const values: Tensor[] = [];
      const inputs = Object.fromEntries(
        specs.map(([name, { shape }]) => {
          const leaf = leaves[form === 'shared' && trained(name) ? placeOf(c, name) : name];
          if (!isValue(name)) return [name, form === 'leaf' || !trained(name) ? leaf : leaf.reshape(shape)];
          const value = scale(leaf, 1);
          values.push(value);
          return [name, value.reshape(shape)];
        }),
      );
      return { inputs, values };
    },
    dispose: () => {
      for (const t of Object.values(leaves)) t.dispose();
      arena?.dispose();
    },
  };
}

/** Σ outputs · w of all uses, plus the sum of what is used once more by itself; of what has a gradient. */
function objective(outputs: Tensor[], weights: Tensor[], values: Tensor[]): Tensor {
  const terms = [
    ...outputs.flatMap((y, i) => (y.requiresGrad ? [sum(mul(y, weights[i % weights.length]))] : [])),
    ...values.map((value) => sum(value)),
  ];
  return terms.reduce((a, b) => add(a, b));
}

/**
 * Runs a case in a form: eagerly once, or as a program that is recorded and then replayed (two results). With weights
 * the gradients of Σ outputs · weights are taken, too.
 */
export async function runForm(
  c: Case,
  device: Device,
  data: Record<string, NumericArray>,
  weights: NumericArray[] | undefined,
  form: Form,
  how: 'eager' | 'program',
): Promise<Result[]> {
  const bound = bind(c, device, data, form, weights !== undefined);
  const made = c.prepare?.(device);
  const precision = device.caps?.f16 ? (c.precision ?? 'f32') : 'f32';
  let onDevice: Tensor[] | undefined;
  const step = (): Record<string, Tensor> => {
    for (const t of Object.values(bound.leaves)) if (t.grad) fill(t.grad, 0);
    const { inputs, values } = bound.inputs();
    const uses = Array.from({ length: FACTOR[form].times }, () => {
      device.opCounter = 0; // the same dropout
      return [c.run(inputs, device, made)].flat();
    });
    const outputs = uses.flat();
    if (weights) {
      // Made with the first step; the shapes of the outputs are known only then.
      onDevice ??= weights.map((w, i) => device.tensor(w, uses[0][i].shape, { label: 'weights' }).keep());
      objective(outputs, onDevice, form === 'twice' ? values : []).backward();
    }
    return Object.fromEntries(outputs.map((t, i) => [`output ${i}`, t]));
  };
  const inPrecision = (): Record<string, Tensor> => device.withPrecision(precision, step, GRADIENT_SCALE);
  const prepare = (): void => {
    device.setState(c.state ?? STATE);
    for (const [name, t] of Object.entries(bound.leaves)) device.write(t, data[name]);
  };
  const read = async (outputs: Record<string, Tensor>): Promise<Result> => {
    const result: Result = { outputs: [], grads: {} };
    for (const t of Object.values(outputs)) result.outputs.push(await t.data());
    if (weights) {
      for (const [name, t] of Object.entries(bound.leaves))
        if (t.requiresGrad) result.grads[name] = await (t.grad as Tensor).data();
    }
    return result;
  };
  const results: Result[] = [];
  try {
    prepare();
    if (how === 'eager') {
      const outputs = device.scope(() => {
        const all = inPrecision();
        for (const t of Object.values(all)) t.keep();
        return all;
      });
      results.push(await read(outputs));
      for (const t of Object.values(outputs)) t.dispose();
    } else {
      if (weights) onDevice = weights.map((w, i) => device.tensor(w, shapes(c, device, bound, made)[i]));
      const program = device.program(`${c.op} ${c.name}`, inPrecision);
      device.debug = true;
      try {
        results.push(await read(program.run()));
        prepare();
        results.push(await read(program.run()));
      } finally {
        device.debug = false;
        program.dispose();
      }
    }
    if (bound.arena) results[0].optimizer = await optimize(device, bound.arena);
    return results;
  } finally {
    made?.dispose();
    for (const t of onDevice ?? []) t.dispose();
    bound.dispose();
  }
}

/** The shapes of the outputs, of a run that counts for nothing. */
function shapes(c: Case, device: Device, bound: Bound, made: unknown): Shape[] {
  return device.scope(() =>
    device.noGrad(() => [c.run(bound.inputs().inputs, device, made)].flat().map((t) => t.shape)),
  );
}

/** What the optimizer makes of the arena's gradients: their norm as it found it, and whether it went on. */
async function optimize(device: Device, arena: ParameterArena): Promise<{ norm: number; status: number }> {
  device.setState(STATE);
  const betas = { beta1: 0.9, beta2: 0.98 };
  const [loss, losses, status] = [device.tensor([1]), device.tensor([0, 0, 0, 0]), device.tensor(adamwStatus(betas))];
  const options = { ...betas, eps: 1e-8, weightDecay: 0.1, clip: 1, loss, losses, status };
  adamwStep(arena, options);
  const found = (await status.data()) as Uint32Array<ArrayBuffer>;
  const [code, norm] = [found[0], new Float32Array(found.buffer)[1]];
  const sound = [...(await arena.read()).values()].every((values) => values.every(Number.isFinite));
  for (const t of [loss, losses, status]) t.dispose();
  return { norm, status: code === 0 && !sound ? -1 : code };
}

const DEFAULT = { abs: 1e-5, rel: 1e-5 };

/** Where a result in some form is not what the references say, in words, or null. */
export function mismatch(c: Case, actual: Result, expected: Result, form: Form = 'leaf'): string | null {
  const { abs, rel } = c.tolerance ?? DEFAULT;
  const { times, plus } = FACTOR[form];
  for (const [i, output] of actual.outputs.entries()) {
    const wrong = firstMismatch(`output ${i}`, output, expected.outputs[i % expected.outputs.length], { abs, rel });
    if (wrong) return wrong;
  }
  const names = Object.keys(expected.grads);
  if (`${names}` !== `${Object.keys(actual.grads)}`)
    return `gradients of ${Object.keys(actual.grads)}, expected ${names}`;
  for (const [name, g] of Object.entries(expected.grads)) {
    const uses = c.leaves?.includes(name) ? 0 : plus;
    const wanted = uses === 0 && times === 1 ? g : Float64Array.from(g, (v) => times * v + uses);
    // A sum of several uses rounds, even if each of them is exact.
    const bound = times > 1 || form === 'shared' ? { abs: times * abs + 1e-6, rel: Math.max(rel, 1e-6) } : { abs, rel };
    const wrong = firstMismatch(`d${name}`, actual.grads[name], wanted, bound);
    if (wrong) return wrong;
  }
  if (!actual.optimizer) return null;
  const { status, norm } = actual.optimizer;
  if (status !== 0) return `the optimizer stopped with status ${status}`;
  const squares = Object.values(expected.grads).flatMap((g) => Array.from(g, (v) => v * v));
  const wanted = Math.sqrt(squares.reduce((a, b) => a + b, 0));
  const bound = { abs: abs * Math.sqrt(squares.length), rel: 1e-4 };
  return firstMismatch('norm of the gradients', Float64Array.of(norm), Float64Array.of(wanted), bound);
}
