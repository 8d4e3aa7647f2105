/**
 * Kernels against the roofline that is measured in the same run: square products as large as the adapter does in a
 * moment, in f32 and in mixed precision (f16, or subgroup matrices where the adapter has them); the cases of the bench;
 * and every choice of kernel that the adapter has for a large product.
 */
import { benchCases, product } from '../../dist/bench/cases.js';
import { benchKernels } from '../../dist/bench/kernels.js';
import { measureRoofline } from '../../dist/bench/roofline.js';
import { collectShapes, matmul, tune } from '../../dist/engine/index.js';
import { deadline, emit, openDevice, quick } from './part.mjs';

/** Milliseconds that the largest product may take at the roofline. */
const MOMENT = 100;

const device = await openDevice();
const scale = quick ? 64 : 1;
const roofline = await measureRoofline(device, scale);
emit({ roofline });

const flop = (n) => 2 * n ** 3;
const sizes = [1024, 2048, 4096, 8192].filter((n) => !quick && flop(n) / roofline.gflops / 1e6 < MOMENT);
if (sizes.length === 0) sizes.push(quick ? 64 : 512);
// A few rows are enough for the naive reference.
const squares = sizes.map((n) => product(`sq${n}`, [n, Math.max(1, Math.round(2 ** 22 / n ** 2))], n, n));
const inMixed = (c) => ({
  ...c,
  make: (stock, size) => {
    const run = c.make(stock, size);
    return () => (stock.device === device ? device.withPrecision('mixed', run) : run());
  },
});

await bench(squares, 'f32');
if (device.caps.f16) await bench([...squares, ...(quick ? [] : named('logits', 'ffn1'))].map(inMixed), 'mixed');
await bench(quick ? named('sq512', 'layernorm') : benchCases, 'f32');
emit({ variants: device.variants() });
await timeChoices(sizes.at(-1), 'f32');
if (device.caps.f16) await timeChoices(sizes.at(-1), 'mixed');
device.close();

function named(...names) {
  return benchCases.filter(({ name }) => names.includes(name));
}

/** One case after the other; what fails is a row, too. */
async function bench(cases, precision) {
  for (const c of cases) {
    if (performance.now() > deadline) return emit({ unfinished: `${c.name}, ${precision}` });
    try {
      const { rows } = await benchKernels(device, { cases: [c], scale, roofline });
      emit({ row: { ...rows[0], precision } });
    } catch (error) {
      emit({ row: { case: c.name, precision, error: String(error) } });
      device.check();
    }
  }
}

/** What the tuner measures of each choice for a square product. */
async function timeChoices(n, precision) {
  if (performance.now() > deadline) return emit({ unfinished: `choices, ${precision}` });
  const [a, b] = [device.zeros([n, n]), device.zeros([n, n])];
  const product = () => device.withPrecision(precision, () => device.scope(() => void matmul(a, b)));
  for (const sample of collectShapes(device, product)) {
    const { rows } = await tune(device, [sample]);
    for (const { kernel, times } of rows) {
      const choices = times.map(({ choice, ms }) => ({ choice, ms, gflops: flop(n) / ms / 1e6 }));
      emit({ [`choices ${precision}`]: { kernel, n, choices } });
    }
  }
  for (const t of [a, b]) t.dispose();
}
