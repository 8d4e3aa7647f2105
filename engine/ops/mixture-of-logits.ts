/**
 * Mixture of logits (Zhai et al., "Revisiting Neural Retrieval on Accelerators", KDD 2023; Ding & Zhai, "Retrieval with
 * Learned Similarities", 2024): a state u has ku component embeddings f, an item x has kx, g. With the K = ku · kx
 * component logits z_k = f_i(u) · g_j(x),
 *
 *   score(u, x) = scale · Σ_k π_k z_k,   π = softmax_k(userGate(u) + itemGate(x) + silu(z · up + bias) · down)
 *
 * The logits [rows, N, K] exist in blocks of rows alone, and are made again for the gradient. Of a block, the logits and
 * the gate that reads them are matrix products (bias and SiLU in their epilogue); one kernel makes the scores from these
 * and the other gates, one the gradients.
 */
import { gradOf, intoParts, intoSum } from '../autograd.ts';
import type { Device } from '../device.ts';
import { groups, kernel, type Params } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { fill } from './fill.ts';
import { gemm } from './shared/gemm.ts';
import { sumLeading } from './shared/sums.ts';
import { gateSumReference, mixtureBackward, mixtureForward, pairsReference } from './mixture-of-logits.ref.ts';

const pairKernel = (file: string) =>
  kernel(file, [
    {
      file,
      grid: (p: Params) => groups(p.rows * p.n, 64),
      constants: (p: Params) => ({ K: p.K }),
    },
  ]);
const FORWARD = pairKernel('mixture_fwd');
const BACKWARD = pairKernel('mixture_bwd');
const PAIRS = kernel('mixture_pairs', (p) => groups(p.count, 256));
const GATE_SUM = kernel('mixture_gate_sum', (p) => groups(p.a * p.c, 64));

/** Component logits of a block (4 MiB); with its gradients it takes about seven times as much. */
const BLOCK_ELEMENTS = 2 ** 20;
/** Views start at multiples of so many elements. */
const UNIT = 64;

/** L states in groups of L / G, each with a list of N items. kx, H and D divide by 4. */
export interface Mixture {
  /** [L, ku, D] and [G, N, kx, D]: component embeddings. */
  users: Tensor;
  items: Tensor;
  /** [L, K] and [G, N, K] */
  userGate: Tensor;
  itemGate: Tensor;
  /** [K, H], [H], [H, K]: the gate that reads the logits. */
  up: Tensor;
  bias: Tensor;
  down: Tensor;
}

export interface MixtureOptions {
  /** What scores are multiplied by, 1 / temperature. */
  scale: number;
  /** Elements of the largest block of logits; for tests. */
  blockElements?: number;
}

interface Sizes {
  l: number;
  lists: number;
  n: number;
  ku: number;
  kx: number;
  d: number;
  h: number;
  K: number;
}

/** Rows [r0, r0 + r) against `lists` lists from `list0` on, each list with `group` of the rows. */
interface Block {
  r0: number;
  r: number;
  list0: number;
  lists: number;
  group: number;
  /** Whether these are the first rows of their lists. */
  first: boolean;
}

function sizesOf(m: Mixture): Sizes {
  const [l, ku, d] = m.users.shape;
  const [lists, n, kx] = m.items.shape;
  const [K, h] = m.up.shape;
  const expected: Record<keyof Mixture, readonly number[]> = {
    users: [l, ku, d],
    items: [lists, n, kx, d],
    userGate: [l, ku * kx],
    itemGate: [lists, n, ku * kx],
    up: [ku * kx, h],
    bias: [h],
    down: [h, ku * kx],
  };
  for (const [name, shape] of Object.entries(expected) as [keyof Mixture, readonly number[]][]) {
    if (showShape(m[name].shape) !== showShape(shape) || m[name].dtype !== 'f32')
      throw new Error(
        `mixtureOfLogits: expected ${name} f32${showShape(shape)}, got ${m[name].dtype}${showShape(m[name].shape)}`,
      );
  }
  if (l % lists !== 0 || kx % 4 !== 0 || h % 4 !== 0 || d % 4 !== 0 || ku * kx * h * d === 0)
    throw new Error(
      `mixtureOfLogits: expected lists that divide the states, ku >= 1, and kx, H and D that are multiples of 4, got users ${showShape(m.users.shape)}, items ${showShape(m.items.shape)}, up ${showShape(m.up.shape)}`,
    );
  return { l, lists, n, ku, kx, d, h, K };
}

/** Blocks whose views of every operand are aligned: a few lists with all their rows, or rows of one list. */
export function mixtureBlocks(s: Sizes, elements = BLOCK_ELEMENTS): Block[] {
  const { l, lists, n, K } = s;
  if (l === 0 || n === 0) return [];
  const group = l / lists;
  const pairs = elements / K;
  const steps = [group * s.ku * s.d, group * K, group * n, n * s.kx * s.d, n * K];
  let unit = 1;
  while (steps.some((step) => (unit * step) % UNIT !== 0)) unit *= 2;
  const blocks: Block[] = [];
  if (lists === 1 || (unit === 1 && group * n > pairs)) {
    const most = Math.max(UNIT, Math.floor(pairs / n / UNIT) * UNIT);
    for (let r0 = 0; r0 < l; ) {
      const list0 = Math.floor(r0 / group);
      const r = Math.min(most, (list0 + 1) * group - r0);
      blocks.push({ r0, r, list0, lists: 1, group: r, first: r0 === list0 * group });
      r0 += r;
    }
    return blocks;
  }
  const most = Math.max(unit, Math.floor(pairs / (group * n) / unit) * unit);
  for (let list0 = 0; list0 < lists; list0 += most) {
    const count = Math.min(most, lists - list0);
    blocks.push({ r0: list0 * group, r: count * group, list0, lists: count, group, first: true });
  }
  return blocks;
}

/** Elements of the largest block of logits. */
const largest = (blocks: readonly Block[], { n, K }: Sizes): number =>
  blocks.reduce((most, { r }) => Math.max(most, r * n * K), 0);

/** A block's rows of an operand whose first axis runs over states or over lists. */
const rowsOf = (t: Tensor, { r0, r }: Block): Tensor => t.detach().rows(r0, r0 + r);
const listsOf = (t: Tensor, { list0, lists }: Block): Tensor => t.detach().rows(list0, list0 + lists);

/** What a block holds: z in the product's order [r, ku, N, kx], and by pairs [r · N, K] or [r · N, H]. */
interface Work {
  z: Tensor;
  logits: Tensor;
  /** The hidden layer of the gate, and before its activation, where that is wanted. */
  hidden: Tensor;
  before: Tensor | null;
  gate: Tensor;
}

function workFor(device: Device, s: Sizes, blocks: readonly Block[], gradient: boolean): Work {
  const most = largest(blocks, s);
  const make = (width: number, label: string): Tensor => device.empty([most / s.K, width], 'f32', label);
  return {
    z: device.empty([most], 'f32', 'component logits'),
    logits: make(s.K, 'component logits by pairs'),
    hidden: make(s.h, 'gate hidden'),
    before: gradient ? make(s.h, 'gate before silu') : null,
    gate: make(s.K, 'gate'),
  };
}

/** The products of a block: its logits z = f · gᵀ for each list, and the gate that reads them. */
function products(device: Device, m: Mixture, s: Sizes, b: Block, w: Work): void {
  const { n, ku, kx, d, h, K } = s;
  gemm(device, {
    a: rowsOf(m.users, b),
    b: listsOf(m.items, b),
    c: w.z,
    m: b.group * ku,
    n: n * kx,
    k: d,
    transB: true,
    batch: b.lists,
    sa: b.group * ku * d,
    sb: n * kx * d,
    sc: b.group * ku * n * kx,
  });
  byPairs(s, b, w.z, w.logits, 1);
  const count = b.r * n;
  const first = { a: w.logits, b: m.up, c: w.hidden, m: count, n: h, k: K };
  gemm(device, { ...first, bias: m.bias, z: w.before, activation: 'silu' });
  gemm(device, { a: w.hidden, b: m.down, c: w.gate, m: count, n: K, k: h });
}

function byPairs({ n, ku, kx, K }: Sizes, b: Block, z: Tensor, pairs: Tensor, to_pairs: 0 | 1): void {
  const params = { count: (b.r * n * K) / 4, n, ku, x4: kx / 4, to_pairs };
  z.device.run(PAIRS, pairsReference, { z, pairs }, params);
}

const paramsOf = ({ n, K }: Sizes, b: Block, scale: number): Params => ({ rows: b.r, n, group: b.group, scale, K });

const tensorsOf = (m: Mixture, b: Block, w: Work): Record<string, Tensor> => ({
  z: w.logits,
  t: w.gate,
  ug: rowsOf(m.userGate, b),
  ig: listsOf(m.itemGate, b),
});

/** Scores into a matrix of row stride `ld` from element `column` on, a multiple of 64. */
function forward(device: Device, m: Mixture, s: Sizes, o: MixtureOptions, y: Tensor, column: number, ld: number): void {
  const blocks = mixtureBlocks(s, o.blockElements);
  const w = workFor(device, s, blocks, false);
  for (const b of blocks) {
    products(device, m, s, b, w);
    const start = b.r0 * ld + column;
    const scores = device.view(y, start, [y.size - start], 'f32', 'scores');
    device.run(FORWARD, mixtureForward, { ...tensorsOf(m, b, w), scores }, { ...paramsOf(s, b, o.scale), ld });
  }
}

/** The scores [L, N] of each state with the items of its group's list. */
export function mixtureOfLogits(m: Mixture, options: MixtureOptions): Tensor {
  const { device } = m.users;
  const s = sizesOf(m);
  const y = device.empty([s.l, s.n], 'f32', 'mixture of logits');
  forward(device, m, s, options, y, 0, s.n);
  device.tape.record(Object.values(m), y, () => backward(device, m, s, options, gradOf(y)));
  return y;
}

/** The scores of all states with one list of N items (G = 1) as columns [column, column + N) of `scores` [L, V]; no gradient. */
export function mixtureColumns(m: Mixture, options: MixtureOptions, scores: Tensor, column: number): void {
  const s = sizesOf(m);
  if (
    s.lists !== 1 ||
    scores.rank !== 2 ||
    scores.shape[0] !== s.l ||
    column % UNIT !== 0 ||
    column + s.n > scores.shape[1]
  )
    throw new Error(
      `mixtureColumns: expected one list, scores [L,V] and a column that is a multiple of ${UNIT}, got items ${showShape(m.items.shape)}, scores ${showShape(scores.shape)}, column ${column}`,
    );
  m.users.device.inPlace('mixtureColumns', scores);
  forward(m.users.device, m, s, options, scores, column, scores.shape[1]);
}

function backward(device: Device, m: Mixture, s: Sizes, o: MixtureOptions, dy: Tensor): void {
  const { n, ku, kx, d, h, K } = s;
  const blocks = mixtureBlocks(s, o.blockElements);
  const w = workFor(device, s, blocks, true);
  const dz = device.empty(w.logits.shape, 'f32', 'grad of component logits');
  const dHidden = device.empty(w.hidden.shape, 'f32', 'grad of gate hidden');
  const [users, items, userGate, itemGate] = intoParts([m.users, m.items, m.userGate, m.itemGate]);
  const [up, bias, down] = [m.up, m.bias, m.down].map((t) => (t.requiresGrad ? intoSum(t) : null));
  if (blocks.length === 0) for (const to of [users, items, userGate, itemGate]) if (to && !to.acc) fill(to.grad, 0);
  for (const b of blocks) {
    products(device, m, s, b, w);
    device.run(BACKWARD, mixtureBackward, { ...tensorsOf(m, b, w), dy: rowsOf(dy, b), dz }, paramsOf(s, b, o.scale));
    const count = b.r * n;
    const dt = w.gate;
    if (userGate) gateSum(dt, rowsOf(userGate.grad, b), b.r, n, K, userGate.acc);
    if (itemGate) gateSum(dt, listsOf(itemGate.grad, b), b.lists, b.group, n * K, b.first ? itemGate.acc : 1);
    const slope = { slopeAt: w.before as Tensor, activation: 'silu' as const };
    gemm(device, { a: dt, gradient: 'a', b: m.down, c: dHidden, m: count, n: h, k: K, transB: true, ...slope });
    if (up)
      gemm(device, {
        a: w.logits,
        b: dHidden,
        gradient: 'b',
        c: up,
        m: K,
        n: h,
        k: count,
        transA: true,
        acc: 1,
        columnSums: bias,
      });
    else if (bias) sumLeading(dHidden, count, h, bias, 1, 1);
    if (down) gemm(device, { a: w.hidden, b: dt, gradient: 'b', c: down, m: h, n: K, k: count, transA: true, acc: 1 });
    gemm(device, { a: dHidden, gradient: 'a', b: m.up, c: dz, m: count, n: K, k: h, transB: true, acc: 1 });
    byPairs(s, b, w.z, dz, 0);
    const strides = { batch: b.lists, sa: b.group * ku * n * kx };
    if (users)
      gemm(device, {
        a: w.z,
        gradient: 'a',
        b: listsOf(m.items, b),
        c: rowsOf(users.grad, b),
        m: b.group * ku,
        n: d,
        k: n * kx,
        ...strides,
        sb: n * kx * d,
        sc: b.group * ku * d,
        acc: users.acc,
      });
    if (items)
      gemm(device, {
        a: w.z,
        gradient: 'a',
        b: rowsOf(m.users, b),
        c: listsOf(items.grad, b),
        m: n * kx,
        n: d,
        k: b.group * ku,
        transA: true,
        ...strides,
        sb: b.group * ku * d,
        sc: n * kx * d,
        acc: b.first ? items.acc : 1,
      });
  }
}

/** y [a, c] = [y +] Σ_s x [a, s, c]. */
function gateSum(x: Tensor, y: Tensor, a: number, s: number, c: number, acc: number): void {
  x.device.run(GATE_SUM, gateSumReference, { x, y }, { a, s, c: c / 4, acc });
}
