/** The bench counts what it says that it counts; its timings are no tests. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { Stock } from '../bench/case.ts';
import { benchCases } from '../bench/cases.ts';
import { attendedPairs, flopCounter } from '../bench/cost.ts';
import { trainSpec } from '../bench/peers/cases.mjs';
import { fractionOf } from '../bench/roofline.ts';
import { matmul } from '../engine/index.ts';
import { openDevice } from './device.ts';

const device = await openDevice({ backend: 'webgpu' });

describe('cases', () => {
  it('bear the names that are compared across peers', () => {
    const names = benchCases.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const shared = ['sq512', 'proj', 'ffn1', 'ffn2', 'logits', 'softmax', 'layernorm', 'attention', 'attention-bwd'];
    expect(names).toEqual(expect.arrayContaining([...shared, 'train', 'cross-entropy']));
  });

  it.each(benchCases.map((c) => [c.name, c] as const))('%s replays and leaves nothing behind', async (_, c) => {
    const step = (stock: Stock, size: number) => {
      const run = c.make(stock, size);
      const program = device.program(c.name, () => {
        run();
        return {};
      });
      program.run();
      program.run();
      expect(program.dispatches).toBeGreaterThan(0);
      program.dispose();
      stock.dispose();
    };
    step(new Stock(device), 256);
    await device.settle();
    device.gpu?.buffers.trim();
    const { bytes } = device.stats();
    step(new Stock(device), 256);
    await device.settle();
    device.gpu?.buffers.trim();
    expect(device.stats().bytes).toBe(bytes);
    expect(c.bytes(c.sizes[0])).toBeGreaterThan(0);
  });
});

describe('peers', () => {
  it('Attune as a peer makes a case, gives its outputs, and frees it', () => {
    const worker = new URL('../bench/peers/worker.mjs', import.meta.url).pathname;
    const step = trainSpec(64);
    const x = { shape: [2, 8], seed: 1 };
    const requests = [
      { op: 'make', spec: { kind: 'softmax', rows: 2, cols: 8, inputs: { x } } },
      { op: 'outputs', indices: { y: [0] } },
      { op: 'drop' },
      { op: 'make', spec: step },
      { op: 'time', repeat: 1 },
      { op: 'drop' },
    ];
    const { stdout, stderr } = spawnSync(process.execPath, [worker, 'attune'], {
      input: requests.map((request) => `${JSON.stringify(request)}\n`).join(''),
      encoding: 'utf8',
    });
    const answers = stdout.match(/^@.*$/gm)?.map((line) => JSON.parse(line.slice(1)));
    const [y, ms] = [expect.any(Number), expect.any(Number)];
    expect(answers, stderr).toMatchObject([{}, {}, { values: { y: [y] } }, {}, {}, { ms }, {}]);
    expect(answers?.filter(({ absent }) => absent)).toEqual([]);
  });
});

describe('costs', () => {
  it('attended pairs, by counting', () => {
    const start = Uint32Array.of(0, 0, 0, 3, 3, 0, 0);
    let pairs = 0;
    for (let i = 0; i < 5; i++) for (let j = start[i]; j <= i; j++) pairs++;
    expect(attendedPairs({ start, tokens: 5 })).toBe(pairs);
  });

  it('the share of the roofline follows what binds', () => {
    const roof = { gflops: 10, gbs: 2 };
    expect(fractionOf(roof, { flop: 5e6, bytes: 1e3 }, 1)).toBeCloseTo(0.5);
    expect(fractionOf(roof, { flop: 1e3, bytes: 1e6 }, 1)).toBeCloseTo(0.5);
  });

  it('a profile has calls, bytes bound and FLOP by kernel, whatever the number of runs', async (context) => {
    if (!device.caps?.timestamps) return context.skip();
    const [a, b] = [device.zeros([32, 64]), device.zeros([64, 128])];
    const program = device.program('products', () => {
      matmul(a, b);
      matmul(a, b);
      return {};
    });
    const [row, ...others] = await program.profile({ runs: 3, flopOf: flopCounter(0) });
    expect(others).toEqual([]);
    expect(row).toMatchObject({
      calls: 2,
      flop: 2 * 2 * 32 * 64 * 128,
      bytes: 2 * 4 * (32 * 64 + 64 * 128 + 32 * 128),
    });
    expect(row.ms).toBeGreaterThan(0);
    program.dispose();
  });

  it('encoding alone submits nothing', () => {
    const [a, b] = [device.zeros([32, 64]), device.zeros([64, 128])];
    const program = device.program('product', () => ({ c: matmul(a, b) }));
    program.run();
    const before = device.stats();
    expect([...program.encode()]).toHaveLength(1);
    expect(device.stats()).toEqual(before);
    program.run();
    expect(device.stats().submits).toBe(before.submits + 1);
    program.dispose();
  });
});

describe('scale', () => {
  it('prepares and trains on logs of each size, and shows how cost grows', () => {
    const script = new URL('../bench/scale/run.mjs', import.meta.url).pathname;
    const run = spawnSync(process.execPath, [script, '--quick', '--device', 'cpu'], { encoding: 'utf8' });
    expect(run.stderr).toBe('');
    const [heading, , ...rows] = run.stdout.split('\n').filter((line) => line.startsWith('|'));
    expect(heading.split('|').map((cell) => cell.trim())).toContain('tokens a second');
    const cells = rows.map((row) => row.split('|').map((cell) => cell.trim()));
    expect(cells.map(([, size]) => size)).toEqual(['2,000', '4,000']);
    for (const row of cells) expect(Number(row[9])).toBeGreaterThan(0); // steps
    expect(run.stdout).toContain('r rows of the log');
  });
});

describe('catalog', () => {
  it('finds the best of a compressed table on the device that the host finds', () => {
    const script = new URL('../dist/bench/catalog.js', import.meta.url).pathname;
    const { stdout, status } = spawnSync(process.execPath, [script, 'topk', '1e4', 'int8'], { encoding: 'utf8' });
    expect(status).toBe(0);
    expect(stdout).toMatch(/10,000 items: the best 100 of 4 users \d+ ms/);
    expect(stdout).toContain('the scores of the best 100 of the first user are those of the host to');
  });
});
