/** Differentiable ops of the user's own, from two kernels and their references. */
import { gradOf, into } from '../autograd.ts';
import type { Device } from '../device.ts';
import type { Grid, ParamField, Params } from '../kernel.ts';
import { expectConstants, expectType } from '../ops/shared/check.ts';
import { scaleTo } from '../ops/shared/scale.ts';
import type { Reference } from '../reference.ts';
import { type DType, type Shape, showShape, type Tensor } from '../tensor.ts';
import { type CustomKernel, customKernel, type KernelSpec, mentions, withoutComments } from './kernel.ts';

/** How one pass runs: see `KernelSpec`. */
export interface Pass {
  wgsl: string;
  grid(params: Params): number | Grid;
}

export interface CustomOpSpec<Name extends string, Options> {
  /** At the front of every message. */
  name: string;
  /** Its inputs, by the names that the kernels have for them, and their types. */
  inputs: Readonly<Record<Name, DType>>;
  /** The shape of y, f32. Throws for inputs whose shapes do not fit: "expected X, got Y" (the op's name is put in front). */
  output(inputs: Record<Name, Tensor>, options: Options): Shape;
  /** Numbers that both kernels read as `p.NAME`; by default `n`, the number of elements of y. */
  params?: Readonly<Record<string, ParamField['type']>>;
  /** Their values; by default `{ n }`. */
  values?(inputs: Record<Name, Tensor>, options: Options): Params;
  /** Reads the inputs, writes all of `y`. */
  forward: Pass;
  /** Reads the inputs, `y`, and `dy`, and writes all of `dNAME` for each f32 input; without it the op has no gradient. */
  backward?: Pass;
  /** Both in naive loops over arrays of the same names: what the kernels are judged by, and what runs without a GPU. */
  reference: { forward: Reference; backward?: Reference };
}

/**
 * A function of named inputs that gives y and passes gradients on. `checkOp` holds it to its references and these to central
 * differences.
 * @throws Error at the call, for inputs of another type or device, and for what `output` refuses
 */
export function customOp<Name extends string, Options = undefined>(
  spec: CustomOpSpec<Name, Options>,
): (inputs: Record<Name, Tensor>, ...options: Options extends undefined ? [] : [Options]) => Tensor {
  const { name, params = { n: 'u32' }, reference } = spec;
  const names = Object.keys(spec.inputs) as Name[];
  const differentiable = names.filter((input) => spec.inputs[input] === 'f32');
  if ((spec.backward === undefined) !== (reference.backward === undefined))
    throw new Error(`${name}: expected a reference of the backward pass exactly where it has one`);

  /** A pass's kernel: what its text mentions is bound, the arrays in `writes` to be written. */
  const kernelOf = (device: Device, pass: Pass, own: Reference, what: string, writes: string[]): CustomKernel => {
    const read = [...names, ...(what === 'backward' ? ['y', 'dy'] : [])];
    const bindings: Record<string, KernelSpec['bindings'][string]> = {};
    for (const binding of [...read, ...writes]) {
      const dtype: DType = spec.inputs[binding as Name] ?? 'f32';
      if (mentions(withoutComments(pass.wgsl), binding) || writes.includes(binding))
        bindings[binding] = `${writes.includes(binding) ? 'write' : 'read'} ${dtype}`;
    }
    return customKernel(device, { name: `${name} ${what}`, bindings, params, reference: own, ...pass });
  };
  const kernels = new WeakMap<Device, { forward: CustomKernel; backward: CustomKernel | null }>();
  const kernelsOn = (device: Device) => {
    let found = kernels.get(device);
    if (!found) {
      const { backward } = spec;
      const gradients = differentiable.map((input) => `d${input}`);
      found = {
        forward: kernelOf(device, spec.forward, reference.forward, 'forward', ['y']),
        backward: backward ? kernelOf(device, backward, reference.backward as Reference, 'backward', gradients) : null,
      };
      kernels.set(device, found);
    }
    return found;
  };

  return (inputs, ...[options]) => {
    for (const input of names) {
      if (!inputs[input]) throw new Error(`${name}: expected a tensor ${input}, got none`);
      expectType(name, input, inputs[input], spec.inputs[input]);
    }
    const { device } = inputs[names[0]];
    let shape: Shape;
    try {
      shape = spec.output(inputs, options as Options);
    } catch (error) {
      throw new Error(`${name}: ${(error as Error).message}`);
    }
    const { forward, backward } = kernelsOn(device);
    if (!backward) expectConstants(name, inputs);
    const y = device.empty(shape, 'f32', name);
    const values = spec.values?.(inputs, options as Options) ?? { n: y.size };
    forward.run({ ...inputs, y }, values);
    if (!backward) return y;
    const list = names.map((input) => inputs[input]);
    device.tape.record(list, y, () => {
      const tensors: Record<string, Tensor> = { ...inputs, y: y.detach(), dy: gradOf(y) };
      const sums: [from: Tensor, to: Tensor][] = [];
      for (const input of differentiable) {
        const x: Tensor = inputs[input];
        const target = x.requiresGrad ? into(x) : null;
        const fresh = target && !target.acc ? target.grad : device.empty(x.shape, 'f32', `grad of ${x.label}`);
        tensors[`d${input}`] = fresh;
        if (target?.acc) sums.push([fresh, target.grad]);
      }
      backward.run(tensors, values);
      for (const [from, to] of sums) scaleTo(from, to, 1, 1);
    });
    return y;
  };
}

/** For an op's `output`: the shape of its inputs, which must be one. @throws Error where they differ */
export function sameShape(inputs: Record<string, Tensor>): Shape {
  const [first, ...others] = Object.entries(inputs);
  const of = ([name, t]: [string, Tensor]): string => `${name} ${showShape(t.shape)}`;
  const other = others.find(([, t]) => showShape(t.shape) !== showShape(first[1].shape));
  if (other) throw new Error(`expected inputs of one shape, got ${of(first)} and ${of(other)}`);
  return first[1].shape;
}
