/** Rotary positions (RoFormer, Su et al. 2021, eq. 34): q and k are rotated by angles in proportion to their positions. */
import { gradOf, into } from '../autograd.ts';
import { groups, kernel } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { expectConstants } from './shared/check.ts';
import { rotaryReference } from './rotary.ref.ts';
import { expectOneOf, expectType } from './shared/check.ts';

const ROTARY = kernel('rotary', (p) => groups(p.n, 256));

/**
 * The angles of positions 0 … T−1 for heads of width K, as `rotary` reads them: [T, K] of (cos, sin) of p · θ_c for the
 * K / 2 pairs c, θ_c = 10000^(−2c/K). Computed in double precision: WGSL's own sine is coarse for large angles.
 */
export function rotaryAngles(t: number, k: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(t * k);
  for (let p = 0; p < t; p++) {
    for (let c = 0; c < k / 2; c++) {
      const angle = p * 10000 ** ((-2 * c) / k);
      out[p * k + 2 * c] = Math.cos(angle);
      out[p * k + 2 * c + 1] = Math.sin(angle);
    }
  }
  return out;
}

/** What lies side by side in x: v is never rotated. */
export type RotaryParts = 'qkv' | 'q' | 'kv';

/**
 * qkv [L, 3D], q [L, D] or kv [L, 2D], as `parts` has it, with each pair of columns of q and k rotated by the angle of its
 * token's position; v stays.
 *
 * @param positions u32 [L]; one that is not below T gives NaN @param angles [T, K], see `rotaryAngles` @param heads H; K = D / H, a multiple of 4
 */
export function rotary(
  qkv: Tensor,
  positions: Tensor,
  angles: Tensor,
  heads: number,
  parts: RotaryParts = 'qkv',
): Tensor {
  const { device } = qkv;
  expectOneOf('rotary', 'parts', parts, ['qkv', 'q', 'kv']);
  const k = qkv.rank === 2 ? qkv.shape[1] / parts.length / heads : 0;
  if (!Number.isInteger(k) || k < 4 || k % 4 !== 0) {
    const width = parts.length > 1 ? `${parts.length}D` : 'D';
    throw new Error(
      `rotary: expected ${parts} [L, ${width}] of ${heads} heads whose width is a multiple of 4, got ${showShape(qkv.shape)}`,
    );
  }
  expectType('rotary', parts, qkv);
  expectType('rotary', 'angles', angles);
  if (positions.dtype !== 'u32' || positions.size !== qkv.shape[0]) {
    throw new Error(
      `rotary: expected positions u32 [${qkv.shape[0]}], got ${positions.dtype} ${showShape(positions.shape)}`,
    );
  }
  if (angles.rank !== 2 || angles.shape[1] !== k) {
    throw new Error(`rotary: expected angles [T,${k}], got ${showShape(angles.shape)}`);
  }
  expectConstants('rotary', { angles });
  const y = device.empty(qkv.shape, 'f32', 'rotary');
  const rotated = parts === 'qkv' ? 2 : 1;
  const params = { n: qkv.size / 4, heads, k, parts: parts.length, rotated, t: angles.shape[0] };
  device.run(ROTARY, rotaryReference, { x: qkv, positions, angles, y }, { ...params, sign: 1, acc: 0 });
  device.tape.record([qkv], y, () => {
    const { grad, acc } = into(qkv);
    device.run(ROTARY, rotaryReference, { x: gradOf(y), positions, angles, y: grad }, { ...params, sign: -1, acc });
  });
  return y;
}
