/** Kernels and ops of the user's own: the checks that hold them, and that they run, record and replay like the engine's. */
import { describe, expect, it } from 'vitest';
import {
  checkOp,
  customKernel,
  customOp,
  type Device,
  gelu,
  matmul,
  sameShape,
  sum,
  type Tensor,
} from '../../engine/index.ts';
import { backends, cpu, gpu } from './devices.ts';

const GRID = ({ n }: Record<string, number>) => Math.ceil(n / 64);
const each = (body: string): string => `
  // one element a thread
  @compute @workgroup_size(64)
  fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.x;
    if (i >= p.n) { return; }
    ${body}
  }`;

/** y = x² · w */
const weightedSquare = customOp({
  name: 'weightedSquare',
  inputs: { x: 'f32', w: 'f32' },
  output: sameShape,
  forward: { wgsl: each('y[i] = x[i] * x[i] * w[i];'), grid: GRID },
  backward: { wgsl: each('dx[i] = dy[i] * 2.0 * x[i] * w[i]; dw[i] = dy[i] * x[i] * x[i];'), grid: GRID },
  reference: {
    forward({ x, w, y }, { n }) {
      for (let i = 0; i < n; i++) y[i] = x[i] * x[i] * w[i];
    },
    backward({ x, w, dy, dx, dw }, { n }) {
      for (let i = 0; i < n; i++) {
        dx[i] = dy[i] * 2 * x[i] * w[i];
        dw[i] = dy[i] * x[i] * x[i];
      }
    },
  },
});

/** Σ over rows of x at the given ids, with an option; no gradient. */
const pick = customOp<'x' | 'ids', { factor: number }>({
  name: 'pick',
  inputs: { x: 'f32', ids: 'u32' },
  output: ({ ids }) => ids.shape,
  params: { n: 'u32', factor: 'f32' },
  values: ({ ids }, { factor }) => ({ n: ids.size, factor }),
  forward: { wgsl: each('y[i] = p.factor * x[ids[i]];'), grid: GRID },
  reference: {
    forward({ x, ids, y }, { n, factor }) {
      for (let i = 0; i < n; i++) y[i] = factor * x[ids[i]];
    },
  },
});

describe.each(backends)('on %s', (_, device) => {
  it('an op is held to its reference, and this to its slope', async () => {
    await checkOp(({ x, w }) => weightedSquare({ x, w }), { x: { shape: [5, 13] }, w: { shape: [5, 13] } }, device);
    const ids = { shape: [3], values: Uint32Array.of(2, 0, 2) };
    await checkOp(({ x, ids }) => pick({ x, ids }, { factor: 2.5 }), { x: { shape: [3], grad: false }, ids }, device);
    await checkOp(({ x, w }) => gelu(matmul(x, w)), { x: { shape: [3, 4] }, w: { shape: [4, 8] } }, device);
  });

  it('one tensor may be both inputs, and gradients add up', async () => {
    const x = device.tensor([1, 2, 3], [3], { requiresGrad: true });
    device.scope(() => sum(weightedSquare({ x, w: x })).backward()); // x³
    device.scope(() => sum(weightedSquare({ x, w: x })).backward());
    expect([...(await (x.grad as Tensor).data())]).toEqual([6, 24, 54]);
  });

  it('what is wrong is said with the name of the op', () => {
    const [x, ids] = [device.tensor([1, 2, 3]), device.tensor(Uint32Array.of(1))];
    const refused: [() => unknown, string][] = [
      [() => weightedSquare({ x, w: ids }), 'weightedSquare: w must be f32, got u32[1] (tensor)'],
      [
        () => weightedSquare({ x, w: x.reshape([3, 1]) }),
        'weightedSquare: expected inputs of one shape, got x [3] and w [3,1]',
      ],
      [() => weightedSquare({ x } as never), 'weightedSquare: expected a tensor w, got none'],
      [
        () => pick({ x: device.tensor([1], [1], { requiresGrad: true }), ids }, { factor: 1 }),
        'pick: x has no gradient here',
      ],
      [
        () => pick({ x, ids }, { factor: '2' as unknown as number }),
        'pick forward: expected a number as the parameter factor',
      ],
    ];
    for (const [call, message] of refused) expect(call).toThrow(message);
  });

  it('a kernel alone writes in place, and what it leaves out reads as zeros', async () => {
    const kernel = customKernel(device, {
      name: 'every other',
      bindings: { x: 'read f32', y: 'write f32' },
      params: { n: 'u32' },
      wgsl: each('if (i % 2u == 0u) { y[i] = x[i]; }'),
      grid: GRID,
      reference({ x, y }, { n }) {
        for (let i = 0; i < n; i += 2) y[i] = x[i];
      },
    });
    const [x, kept] = [device.tensor([1, 2, 3, 4, 5]), device.tensor([9, 9, 9, 9, 9])];
    const program = device.program('every other', () => {
      const y = device.empty([5]);
      kernel.run({ x, y }, { n: 5 });
      return { y };
    });
    for (let i = 0; i < 2; i++) expect([...(await program.values()).y]).toEqual([1, 0, 3, 0, 5]);
    program.dispose();
    kernel.run({ x, y: kept }, { n: 5 });
    expect([...(await kept.data())]).toEqual([1, 9, 3, 9, 5]);
    expect(() => kernel.run({ x }, { n: 5 })).toThrow('every other: expected a tensor y, got none');
    expect(() => kernel.run({ x, y: x }, { n: 5 })).toThrow('would be read and written by one dispatch');
    expect(() => kernel.run({ x, y: kept })).toThrow(
      'every other: expected a number as the parameter n, got undefined',
    );
    expect(() => kernel.run({ x, y: kept }, { n: -0.5 })).toThrow(
      'expected an integer below 2^32 as the parameter n, got -0.5',
    );
  });
});

describe('checkOp finds', () => {
  const wrong = (device: Device, forward: string, slope: number, gpuSlope = slope): Promise<void> => {
    const op = customOp({
      name: 'twice',
      inputs: { x: 'f32' },
      output: ({ x }) => x.shape,
      forward: { wgsl: each(forward), grid: GRID },
      backward: { wgsl: each(`dx[i] = ${gpuSlope.toFixed(1)} * dy[i];`), grid: GRID },
      reference: {
        forward({ x, y }, { n }) {
          for (let i = 0; i < n; i++) y[i] = 2 * x[i];
        },
        backward({ dy, dx }, { n }) {
          for (let i = 0; i < n; i++) dx[i] = slope * dy[i];
        },
      },
    });
    return checkOp(({ x }) => op({ x }), { x: { shape: [4] } }, device);
  };
  it('a slope, an output, and a gradient that are wrong', async () => {
    await expect(wrong(cpu, 'y[i] = 2.0 * x[i];', 3)).rejects.toThrow(
      /the reference says dx\[0\] = .*, central differences say/,
    );
    await expect(wrong(gpu, 'y[i] = 2.5 * x[i];', 2)).rejects.toThrow(
      /checkOp: y\[0\] is .* on webgpu, the reference says/,
    );
    await expect(wrong(gpu, 'y[i] = 2.0 * x[i];', 2, 1)).rejects.toThrow(
      /checkOp: dx\[0\] is .* on webgpu, the reference says/,
    );
    await expect(wrong(gpu, 'y[i] = 2.0 * x[i];', 2)).resolves.toBeUndefined();
  });
});

describe('a kernel is refused', () => {
  const spec = {
    name: 'mine',
    bindings: { x: 'read f32', y: 'write f32' } as const,
    params: { n: 'u32' } as const,
    grid: () => 1,
  };
  it.each([
    [
      'without an entry point',
      { wgsl: 'fn other() { let a = x; let b = y; let c = p; }' },
      'mine: expected an entry point "fn main"',
    ],
    [
      'that leaves a binding out',
      { wgsl: each('y[i] = 1.0;') },
      'mine: the wgsl never uses the binding x; leave it out',
    ],
    [
      'that declares bindings',
      { wgsl: `@group(0) @binding(0) var<storage> x: u32; ${each('y[i] = x[i];')}` },
      'mine: expected wgsl without @group',
    ],
    ['that never reads its params', { wgsl: 'fn main() { y[0] = x[0]; }' }, 'mine: the wgsl never uses p'],
    [
      'with a binding p',
      { bindings: { p: 'read f32' } as const, wgsl: each('') },
      'mine: expected names of WGSL other than p',
    ],
  ])('%s', (_, more, message) => {
    expect(() => customKernel(cpu, Object.assign({}, spec, more) as never)).toThrow(message);
  });

  it('where it has no reference and there is no GPU, and where its grid is folded unseen', () => {
    const kernel = customKernel(cpu, { ...spec, wgsl: each('y[i] = x[i];') });
    const [x, y] = [cpu.tensor([1]), cpu.tensor([1])];
    expect(() => kernel.run({ x, y }, { n: 1 })).toThrow('mine: has no reference, which the cpu device runs');
    const wide = customKernel(gpu, { ...spec, wgsl: each('y[i] = x[i];'), grid: () => 70_000 });
    const on = () => gpu.tensor([1]);
    expect(() => wide.run({ x: on(), y: on() }, { n: 1 })).toThrow('mine: a grid of 70000 workgroups is folded');
  });
});
