/** What a trace of a step says of its memory: slots for its temporaries, and a signature to compare two traces by. */
import type { GPUBuffer } from '../webgpu/gpu-types.ts';
import type { Storage } from '../tensor.ts';
import type { Call } from '../webgpu/webgpu.ts';

/** Whether nothing after the trace that made it can use it: it was never kept, or was freed before the trace ended. */
export const isTemporary = (storage: Storage): boolean => storage.temporary || storage.released;

/**
 * Gives every temporary of the calls a buffer by its first and last use; those that never live at the same time share one.
 * @returns the storages that have one now, and the buffers
 */
export function assignSlots(
  calls: readonly Call[],
  allocate: (bytes: number, index: number) => GPUBuffer,
): { storages: Storage[]; slots: GPUBuffer[] } {
  const lives = new Map<Storage, { first: number; last: number }>();
  calls.forEach((call, i) => {
    for (const { storage } of call.bindings) {
      if (!storage || !isTemporary(storage)) continue;
      const life = lives.get(storage);
      if (life) life.last = i;
      else lives.set(storage, { first: i, last: i });
    }
  });
  const slots: GPUBuffer[] = [];
  const expiring: { last: number; buffer: GPUBuffer }[] = [];
  const free: GPUBuffer[] = [];
  for (const [storage, life] of lives) {
    for (let i = expiring.length - 1; i >= 0; i--) {
      if (expiring[i].last < life.first) for (const { buffer } of expiring.splice(i, 1)) free.push(buffer);
    }
    const fit = free.filter((b) => b.size >= storage.bytes).sort((a, b) => a.size - b.size)[0];
    let buffer = fit && fit.size <= storage.bytes * 4 + 65536 ? fit : null;
    if (buffer) free.splice(free.indexOf(buffer), 1);
    else {
      buffer = allocate(storage.bytes, slots.length);
      slots.push(buffer);
    }
    storage.buffer = buffer;
    expiring.push({ last: life.last, buffer });
  }
  return { storages: [...lives.keys()], slots };
}

const ids = new WeakMap<object, number>();
let nextId = 0;

/**
 * One line a call: kernel, grid, bindings. What the trace itself made is named by order of appearance, so that two
 * traces compare equal; everything else, uniforms (shared by content) included, by the identity of its buffer.
 */
export function signatureOf(calls: readonly Call[], traceId: number): string[] {
  const order = new Map<object, string>();
  const nameOf = (storage: Storage | null, buffer: GPUBuffer | null): string => {
    if (storage && storage.trace === traceId) {
      if (!order.has(storage)) order.set(storage, `t${order.size}`);
      return order.get(storage) as string;
    }
    const key = (storage?.buffer ?? buffer ?? storage) as object;
    if (!ids.has(key)) ids.set(key, nextId++);
    return `#${ids.get(key)}`;
  };
  return calls.map((c) => {
    const bound = c.bindings.map((b) => `${b.name}=${nameOf(b.storage, b.buffer)}+${b.offset}:${b.size}`).join(' ');
    return `${c.label} (${c.grid.join('×')}) ${bound}`;
  });
}
