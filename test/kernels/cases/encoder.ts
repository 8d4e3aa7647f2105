/** Ops that only some encoders use: attention with a learned bias, rotary positions, SwiGLU. */
import {
  biasWidth,
  gatedRecurrence,
  gelu,
  relativeAttention,
  rotary,
  rotaryAngles,
  swiglu,
} from '../../../engine/index.ts';
import { type Case, type InputSpec, shapes } from '../harness.ts';
import { spansOf } from './attention.ts';

interface Spec {
  name: string;
  /** Tokens of the sequences, one after another, and of the unused tail. */
  lengths: number[];
  tail?: number;
  heads: number;
  k: number;
  causal: boolean;
  position?: boolean;
  time?: boolean;
  /** Queries count from times of their own. */
  asked?: boolean;
  pointwise?: number;
  dropout?: number;
  /** The input is not a leaf, so that the first gradient overwrites; it is used twice, so that the second adds. */
  twice?: boolean;
}

export function relativeCase({
  lengths,
  tail = 0,
  heads,
  k,
  causal,
  position = false,
  time = false,
  asked = false,
  twice,
  ...rest
}: Spec): Case {
  const { start, end } = spansOf(lengths, tail);
  const l = start.length;
  const width = biasWidth({ causal, position, time });
  const inputs: Record<string, InputSpec> = {
    qkv: { shape: [l, 3 * heads * k] },
    start: { shape: [l], dtype: 'u32', value: (i) => start[i] },
    end: { shape: [l], dtype: 'u32', value: (i) => end[i] },
  };
  // From 0 to far beyond 2³¹, so that every power of two is a distance somewhere.
  if (time) inputs.times = { shape: [l], dtype: 'u32', value: (i) => Math.floor(1.4 ** (i % 65)) + (i % 3) };
  if (asked)
    inputs.queryTimes = { shape: [l], dtype: 'u32', value: (i) => Math.floor(1.4 ** ((i + 7) % 65)) + (i % 5) };
  if (width > 0) inputs.bias = { shape: [heads, width] };
  const kinds = [
    rest.pointwise ? 'pointwise' : 'softmax',
    position && 'position',
    time && 'time',
    asked && 'asked',
    causal && 'causal',
  ];
  return {
    op: 'relative-attention',
    name: `${rest.name}, H${heads} K${k}, ${kinds.filter(Boolean).join(' ')}`,
    inputs,
    run: ({ qkv, start, end, bias = null, times = null, queryTimes = null }) => {
      const { pointwise, dropout } = rest;
      const options = { heads, causal, position, times, queryTimes, pointwise, dropout };
      if (!twice) return relativeAttention(qkv, { start, end }, bias, options);
      const x = gelu(qkv);
      return [
        relativeAttention(x, { start, end }, bias, options),
        relativeAttention(x, { start, end }, null, { heads, causal: !causal, position: false, times: null, pointwise }),
      ];
    },
    tolerance: { abs: 2e-5, rel: 2e-4 },
  };
}

const specs: Spec[] = [];
for (const pointwise of [undefined, 20]) {
  for (const causal of [true, false]) {
    const kind = { causal, pointwise };
    specs.push(
      { name: 'sequences and a tail', lengths: [5, 1, 40, 17], tail: 9, heads: 2, k: 8, position: true, ...kind },
      { name: 'sequences and a tail', lengths: [5, 1, 70], tail: 70, heads: 1, k: 8, time: true, ...kind },
      {
        name: 'dropout 0.3',
        lengths: [7, 30],
        tail: 3,
        heads: 2,
        k: 12,
        position: true,
        time: true,
        dropout: 0.3,
        ...kind,
      },
      { name: 'times of the queries', lengths: [5, 1, 70], tail: 3, heads: 2, k: 8, time: true, asked: true, ...kind },
      { name: 'no bias', lengths: [3, 20], tail: 1, heads: 1, k: 8, ...kind },
      {
        name: 'used twice, not a leaf',
        lengths: [3, 9],
        tail: 2,
        heads: 1,
        k: 8,
        position: true,
        twice: true,
        ...kind,
      },
    );
  }
  specs.push({ name: 'only a tail', lengths: [], tail: 35, heads: 1, k: 8, causal: true, position: true, pointwise });
}
specs.push({ name: 'longer than a few tiles', lengths: [130], tail: 5, heads: 1, k: 8, causal: true, position: true });
specs.push({ name: 'wide heads', lengths: [9, 26], tail: 3, heads: 1, k: 128, causal: true, time: true, pointwise: 9 });
specs.push({ name: 'one token', lengths: [1], heads: 1, k: 8, causal: false, position: true, time: true });

export const encoderCases: Case[] = specs.map(relativeCase);

for (const [rows, f] of shapes('1,4 7,12 33,32')) {
  encoderCases.push(
    { op: 'swiglu', name: `[${rows},${2 * f}]`, inputs: { x: { shape: [rows, 2 * f] } }, run: ({ x }) => swiglu(x) },
    {
      op: 'swiglu',
      name: `[${rows},${2 * f}], used twice`,
      inputs: { x: { shape: [rows, 2 * f] } },
      run: ({ x }) => {
        const y = gelu(x);
        return [swiglu(y), swiglu(y)];
      },
    },
  );
}

for (const [l, d] of shapes('1,4 19,12 70,68')) {
  for (const twice of [false, true]) {
    encoderCases.push({
      op: 'gated-recurrence',
      name: `L${l} D${d}${twice ? ', used twice' : ''}`,
      // Histories of seven tokens, the last one shorter.
      inputs: { x: { shape: [l, 2 * d] }, start: { shape: [l], dtype: 'u32', value: (i) => i - (i % 7) } },
      run: ({ x, start }) => {
        if (!twice) return gatedRecurrence(x, start);
        const y = gelu(x);
        return [gatedRecurrence(y, start), gatedRecurrence(y, start)];
      },
    });
  }
}

for (const [l, heads, k] of shapes('1,1,4 19,2,8 40,1,32')) {
  for (const twice of [false, true]) {
    encoderCases.push({
      op: 'rotary',
      name: `L${l} H${heads} K${k}${twice ? ', used twice' : ''}`,
      inputs: {
        qkv: { shape: [l, 3 * heads * k] },
        positions: { shape: [l], dtype: 'u32', value: (i) => (i * 7) % 50 },
        angles: { shape: [50, k], grad: false, value: (i) => rotaryAngles(50, k)[i] },
      },
      run: ({ qkv, positions, angles }) => {
        if (!twice) return rotary(qkv, positions, angles, heads);
        const x = gelu(qkv);
        return [rotary(x, positions, angles, heads), rotary(x, positions, angles, heads)];
      },
    });
  }
  for (const parts of ['q', 'kv'] as const) {
    encoderCases.push({
      op: 'rotary',
      name: `L${l} H${heads} K${k}, ${parts} alone`,
      inputs: {
        x: { shape: [l, parts.length * heads * k] },
        positions: { shape: [l], dtype: 'u32', value: (i) => (i * 7) % 50 },
        angles: { shape: [50, k], grad: false, value: (i) => rotaryAngles(50, k)[i] },
      },
      run: ({ x, positions, angles }) => rotary(x, positions, angles, heads, parts),
    });
  }
}
