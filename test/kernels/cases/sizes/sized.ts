/** Sizes 0 and 1 on every axis of every op: each axis by itself, and all of them at 1. What an op cannot take it refuses. */
import type { Case, InputSpec } from '../../harness.ts';

export type Sizes = Record<string, number>;
type Row = Omit<Case, 'op' | 'name'>;

/** The cases of an op whose axes have these sizes unless they are 0 or 1; `refused` says which are refused, and how. */
export function sized(
  op: string,
  what: string,
  axes: Sizes,
  make: (n: Sizes) => Row,
  refused: (n: Sizes) => string | false | undefined = () => undefined,
): Case[] {
  const names = Object.keys(axes);
  const all = Object.fromEntries(names.map((name) => [name, 1]));
  const sizes = [...names.flatMap((name) => [0, 1].map((n) => ({ ...axes, [name]: n }))), all];
  const cases = sizes.map((n): Case => {
    const name = `sizes of ${what}: ${names.map((axis) => `${axis} ${n[axis]}`).join(', ')}`;
    return { op, name, tolerance: { abs: 2e-5, rel: 1e-4 }, ...make(n), refused: refused(n) || undefined };
  });
  return cases.filter((c, i) => cases.findIndex((other) => other.name === c.name) === i);
}

export const u32 = (shape: number[], value: (i: number) => number): InputSpec => ({ shape, dtype: 'u32', value });
export const fixed = (shape: number[], value?: InputSpec['value']): InputSpec => ({ shape, grad: false, value });
export const away = (_: number, normal: () => number): number => Math.exp(0.5 * normal());
