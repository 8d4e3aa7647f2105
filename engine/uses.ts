/** What a dispatch reads and writes: whether it has anything to do, and whether WebGPU would refuse it. */
import type { Device } from './device.ts';
import type { BindingInfo } from './kernel.ts';
import { showShape, type Tensor } from './tensor.ts';

/** Whether a dispatch has nothing to do: all that it would write is empty or switched off. */
export function writesNothing(tensors: Record<string, Tensor | null>, uses: ReadonlyMap<string, BindingInfo>): boolean {
  for (const { name, kind } of uses.values()) if (kind === 'write' && (tensors[name]?.size ?? 0) > 0) return false;
  return true;
}

/** Whether WebGPU refuses these two in one dispatch: a buffer that is read and written, or overlapping parts that are written. */
function aliases(a: Tensor, b: Tensor, kindA: string, kindB: string): boolean {
  if (a.storage !== b.storage || (kindA !== 'write' && kindB !== 'write')) return false;
  return kindA !== kindB || (a.offset < b.offset + b.size && b.offset < a.offset + a.size);
}

function refuseAlias(who: string, a: Tensor, b: Tensor): never {
  const name = (t: Tensor): string => `${t.label} ${showShape(t.shape)}`;
  const both = a.label === b.label ? name(a) : `${name(a)} and ${name(b)}, which share memory,`;
  throw new Error(`${who}: ${both} would be read and written by one dispatch; use a copy() of what is read`);
}

/**
 * Checks and notes what a dispatch is about to read and write, before anything reaches the device: freed or foreign
 * tensors, integers where a kernel computes with numbers, memory that is both read and written.
 */
export function noteUses(
  device: Device,
  who: string,
  tensors: Record<string, Tensor | null>,
  uses: ReadonlyMap<string, BindingInfo>,
): void {
  const before: [Tensor, BindingInfo['kind']][] = [];
  for (const [name, t] of Object.entries(tensors)) {
    if (!t) continue;
    device.alive(t, who);
    const use = uses.get(name);
    if (!use) continue; // another name for one of the others
    if (t.dtype === 'u32' && /\bf32|vec[24]f/.test(use.type))
      throw new Error(`${who}: ${name} must be f32, got ${t.dtype}${showShape(t.shape)} (${t.label})`);
    if (t.size === 0) continue;
    for (const [other, kind] of before) if (aliases(other, t, kind, use.kind)) refuseAlias(who, other, t);
    before.push([t, use.kind]);
  }
  for (const [t, kind] of before) {
    if (device.touched && !device.touched.has(t.storage)) device.touched.set(t.storage, t);
    if (kind === 'write') t.storage.written = true;
    else device.define(t.storage);
  }
}
