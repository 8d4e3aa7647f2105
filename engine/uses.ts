/** What a dispatch reads and writes: whether it has anything to do, and whether WebGPU would refuse it. */
import type { BindingInfo } from './kernel.ts';
import { showShape, type Tensor } from './tensor.ts';

/** Whether a dispatch has nothing to do: all that it would write is empty or switched off. */
export function writesNothing(tensors: Record<string, Tensor | null>, uses: ReadonlyMap<string, BindingInfo>): boolean {
  for (const { name, kind } of uses.values()) if (kind === 'write' && (tensors[name]?.size ?? 0) > 0) return false;
  return true;
}

/** Whether WebGPU refuses these two in one dispatch: a buffer that is read and written, or overlapping parts that are written. */
export function aliases(a: Tensor, b: Tensor, kindA: string, kindB: string): boolean {
  if (a.storage !== b.storage || (kindA !== 'write' && kindB !== 'write')) return false;
  return kindA !== kindB || (a.offset < b.offset + b.size && b.offset < a.offset + a.size);
}

export function refuseAlias(who: string, a: Tensor, b: Tensor): never {
  const name = (t: Tensor): string => `${t.label} ${showShape(t.shape)}`;
  const both = a.label === b.label ? name(a) : `${name(a)} and ${name(b)}, which share memory,`;
  throw new Error(`${who}: ${both} would be read and written by one dispatch; use a copy() of what is read`);
}
