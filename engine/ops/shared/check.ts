/** Checks that several ops share. Every message has the form "op: expected X, got Y". */
import { type DType, showShape, type Tensor } from '../../tensor.ts';

/** Throws unless the tensor holds numbers of this type. */
export function expectType(op: string, name: string, t: Tensor, dtype: DType = 'f32'): void {
  if (t.dtype !== dtype)
    throw new Error(`${op}: ${name} must be ${dtype}, got ${t.dtype}${showShape(t.shape)} (${t.label})`);
}

/** The same for several inputs; null ones are switched off. */
export function expectTypes(op: string, inputs: Record<string, Tensor | null | undefined>, dtype: DType = 'f32'): void {
  for (const [name, t] of Object.entries(inputs)) if (t) expectType(op, name, t, dtype);
}

/**
 * Throws where an input requires a gradient that the op does not pass on, outside of `noGrad`: it would be lost without a
 * word. @param instead what to do, where it is not the obvious
 */
export function expectConstants(
  op: string,
  inputs: Record<string, Pick<Tensor, 'requiresGrad' | 'device' | 'label' | 'shape'> | null | undefined>,
  instead = 'use detach() or noGrad()',
): void {
  for (const [name, t] of Object.entries(inputs)) {
    if (!t?.requiresGrad || !t.device.tape.enabled) continue;
    throw new Error(
      `${op}: ${name} has no gradient here, but ${t.label} ${showShape(t.shape)} requires one; ${instead}`,
    );
  }
}

/** Throws unless two tensors have the same shape. */
export function expectSameShape(op: string, nameA: string, a: Tensor, nameB: string, b: Tensor): void {
  if (a.rank !== b.rank || a.shape.some((n, i) => n !== b.shape[i])) {
    throw new Error(`${op}: shapes differ, ${nameA} ${showShape(a.shape)} · ${nameB} ${showShape(b.shape)}`);
  }
}

/** Throws unless the tensor has at least `rank` axes. */
export function expectRank(op: string, name: string, t: Tensor, rank: number): void {
  if (t.rank < rank) throw new Error(`${op}: ${name} must have at least ${rank} axes, got ${showShape(t.shape)}`);
}

/** A tensor seen as [rows, cols], cols being its last axis; a scalar is [1, 1]. */
export function asMatrix(t: Tensor): { rows: number; cols: number } {
  const cols = t.shape.at(-1) ?? 1;
  return { rows: t.shape.slice(0, -1).reduce((a, b) => a * b, 1), cols };
}

/** Throws unless the last axis divides by 4, as kernels need that read rows in vec4. */
export function expectWidth4(op: string, name: string, t: Tensor): void {
  const width = t.shape.at(-1) ?? 1;
  if (t.rank === 0 || width % 4 !== 0 || width === 0)
    throw new Error(`${op}: expected ${name} with a last axis that is a multiple of 4, got ${showShape(t.shape)}`);
}

/** Throws unless the value is one of those that the option knows. */
export function expectOneOf(op: string, name: string, value: unknown, known: readonly string[]): void {
  if (!known.includes(value as string))
    throw new Error(`${op}: expected ${name} to be one of ${known.join(', ')}, got ${String(value)}`);
}
