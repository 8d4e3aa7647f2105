/**
 * What is large: cross-entropy over a million items and the optimizer's step on it, scores and the k best of a million,
 * attention over 8,192 tokens. Prints time and memory; run it by `node dist/bench/large.js`.
 *
 * Memory is that of the device's buffers, pool and staging for uploads included in the peak.
 */
import {
  adamwStatus,
  adamwStep,
  attention,
  crossEntropy,
  Device,
  embedding,
  groupRows,
  ParameterArena,
  rankOf,
  shardsOf,
  tableScores,
  type Tensor,
  topk,
} from '../engine/index.ts';

const [V, D, L] = [1_000_000, 64, 256];
const T = 8192;

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const pseudo = (n: number, scale: number): Float32Array => {
  const values = new Float32Array(n);
  let s = 1;
  for (let i = 0; i < n; i++) {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    values[i] = (s / 2 ** 31 - 1) * scale;
  }
  return values;
};

/** Runs `fn` as a recorded program, once eagerly and once as a replay; prints milliseconds of each and the memory. */
async function timed<T extends Record<string, Tensor>>(device: Device, name: string, fn: () => T): Promise<T> {
  const program = device.program(name, fn);
  const times: number[] = [];
  let out: T | undefined;
  for (let i = 0; i < 2; i++) {
    const started = performance.now();
    out = program.run();
    await program.pace();
    await program.settle();
    times.push(performance.now() - started);
  }
  const { bytes, peakBytes } = device.stats();
  console.log(
    `${name}: ${times.map((t) => t.toFixed(0)).join(' ms, then ')} ms; ${program.dispatches} dispatches; ` +
      `slots ${mib(program.slotBytes)}, all buffers ${mib(bytes)}, at most ${mib(peakBytes)}`,
  );
  return out as T;
}

async function main(): Promise<void> {
  const device = await Device.open({ backend: 'webgpu' });
  console.log(`${device.name}; largest binding ${mib(device.maxBindingBytes)}`);

  const spec = { name: 'items', shape: [V, D], decay: false, init: pseudo(V * D, 0.02), table: true };
  const arena = new ParameterArena(device, [spec]);
  const table = arena.table('items');
  const rows = shardsOf(table).map((s) => s.rows);
  console.log(`table [${V},${D}] in shards of ${rows.join(', ')} rows; all buffers ${mib(device.stats().bytes)}`);
  const ids = Uint32Array.from({ length: L }, (_, i) => (i * 7919 * 31) % V);
  const rates = { beta1: 0.9, beta2: 0.98, eps: 1e-8, weightDecay: 0, clip: 1 };
  const t = {
    ids: device.tensor(ids),
    groups: device.tensor(groupRows(ids, L, L).data),
    targets: device.tensor(Uint32Array.from(ids, (id) => (id * 13 + 5) % V)),
    weights: device.full([L], 1 / L),
    status: device.tensor(adamwStatus(rates)),
    losses: device.zeros([16]),
  };
  const words = new Uint32Array(16);
  new Float32Array(words.buffer)[2] = 1e-3;
  device.setState(words);

  const { loss } = await timed(device, 'embedding, cross-entropy, backward, AdamW', () => {
    const x = embedding(table, t.ids, t.groups);
    const out = crossEntropy(x, table, t.targets, t.weights);
    out.backward();
    adamwStep(arena, { ...rates, loss: out, status: t.status, losses: t.losses });
    return { loss: out };
  });
  const status = await t.status.data();
  console.log(`  loss ${await loss.item()} (ln V is ${Math.log(V).toFixed(4)}), first bad step ${status[0]}`);

  const { indices, ranks } = await timed(device, 'scores [4, V], ranks, top 100', () =>
    device.noGrad(() => {
      const scores = tableScores(embedding(table, device.view(t.ids, 0, [4], 'u32', 'ids')), table);
      const targets = device.view(t.targets, 0, [4], 'u32', 'targets');
      return { indices: topk(scores, 100, { targets }).indices, ranks: rankOf(scores, targets) };
    }),
  );
  console.log(`  best ${(await indices.data()).slice(0, 3).join(', ')}; ranks ${(await ranks.data()).join(', ')}`);
  arena.dispose();
  device.gpu?.buffers.trim();

  const width = 64;
  const qkv = device.tensor(pseudo(T * 3 * width, 1), [T, 3 * width], { requiresGrad: true });
  const bounds = { start: device.tensor(new Uint32Array(T)), end: device.tensor(new Uint32Array(T).fill(T)) };
  const up = device.full([T, width], 1);
  await timed(device, `attention, T ${T}, width ${width}, forward and backward`, () => {
    device.tape.backwardFrom(attention(qkv, bounds, { heads: 1, causal: true }), () => up);
    return {};
  });
  device.check();
  device.close();
}

await main();
