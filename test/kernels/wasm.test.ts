/** What only the WebAssembly device has: its memory, and which kernels run in it. cases.test.ts holds it to the references. */
import { describe, expect, it } from 'vitest';
import { add, Device, matmul, scale } from '../../engine/index.ts';

describe('memory', () => {
  it('grows under tensors that keep their values, up to 4 GiB, and is used again', async () => {
    const device = await Device.open({ backend: 'wasm' });
    const small = device.tensor([1, 2, 3]).keep();
    const large = device.full([5_000_000], 7).keep();
    expect(Array.from(await small.data())).toEqual([1, 2, 3]);
    const held = device.stats().bytes;
    for (let i = 0; i < 50; i++) device.full([5_000_000], i).dispose();
    expect(device.stats().bytes).toBe(held);
    expect((await large.data())[4_999_999]).toBe(7);
    expect(() => device.empty([2 ** 30 - 1])).toThrow('out of memory for tensor: WebAssembly holds at most 4 GiB');
    expect(Array.from(await small.data())).toEqual([1, 2, 3]);
    expect(device.stats().bytes).toBe(held);
  });

  it('of a program is its own until it is disposed', async () => {
    const device = await Device.open({ backend: 'wasm' });
    const x = device
      .tensor(
        Float32Array.from({ length: 64 * 64 }, (_, i) => i % 7),
        [64, 64],
      )
      .keep();
    const program = device.program('squares', () => ({ y: add(matmul(x, x), scale(x, 2)) }));
    const { y: first } = await program.values();
    const before = device.stats().bytes;
    // Whatever takes memory between two runs must not get what the program writes to.
    const others = Array.from({ length: 8 }, (_, i) => device.full([64, 64], i).keep());
    const { y: second } = await program.values();
    expect(second).toEqual(first);
    for (const [i, other] of others.entries()) {
      expect((await other.data()).every((value) => value === i)).toBe(true);
      other.dispose();
    }
    expect(device.stats().bytes).toBe(before);
    program.dispose();
    x.dispose();
    expect(device.stats().bytes).toBe(0);
  });

  it('of a program that fails is given back', async () => {
    const device = await Device.open({ backend: 'wasm' });
    const x = device.full([16, 16], 1).keep();
    const before = device.stats().bytes;
    const program = device.program('fails', () => {
      matmul(x, x);
      throw new Error('on purpose');
    });
    expect(() => program.run()).toThrow('on purpose');
    expect(device.stats().bytes).toBe(before);
    // Run, but refused afterwards: it reads what belongs to a scope around it.
    device.scope(() => {
      const outer = scale(x, 2);
      const refused = device.program('refused', () => ({ y: add(matmul(outer, x), x) }));
      expect(() => refused.run()).toThrow(/belongs to a scope around the step/);
    });
    expect(device.stats().bytes).toBe(before);
  });
});
