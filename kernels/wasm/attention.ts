/**
 * softmax(scale · q kᵀ) v of every head over packed segments, as engine/ops/attention.ref.ts defines it, without dropout.
 * Query i reads the keys [start[i], end[i]), and none after itself if causal. Addresses in bytes, strides in elements.
 * `scratch` has room for m + 4 numbers.
 */
import { exp4, log4, sum4, sums4 } from './math';

// @ts-expect-error: decorator
@inline
function dot(a: usize, b: usize, bytes: usize): v128 {
  let sum = f32x4.splat(0);
  for (let o: usize = 0; o < bytes; o += 16) sum = f32x4.add(sum, f32x4.mul(v128.load(a + o), v128.load(b + o)));
  return sum;
}

export function attention(
  q: usize, keys: usize, values: usize, start: usize, end: usize, out: usize, stats: usize, scratch: usize,
  l: i32, m: i32, heads: i32, width: i32, qRow: i32, kvRow: i32, scale: f32, causal: bool,
): void {
  const bytes = (<usize>width) << 2;
  const kr = (<usize>kvRow) << 2;
  for (let h = 0; h < heads; h++) {
    const head = <usize>h * bytes;
    for (let i = 0; i < l; i++) {
      const from = load<u32>(start + ((<usize>i) << 2));
      const until = load<u32>(end + ((<usize>i) << 2));
      let last = min(until, <u32>m);
      if (causal) last = min(last, <u32>i + 1);
      const o = out + <usize>(i * heads) * bytes + head;
      const stat = stats + ((<usize>(h * l + i)) << 3);
      const factor: f32 = until > max(from, <u32>m) ? NaN : 0; // bounds beyond the keys
      store<f32>(stat, factor);
      store<f32>(stat + 4, 0);
      if (from >= last) {
        for (let c: usize = 0; c < bytes; c += 16) v128.store(o + c, f32x4.splat(factor));
        continue;
      }
      const count = <i32>(last - from);
      const query = q + ((<usize>(i * qRow)) << 2) + head;
      const key = keys + <usize>from * kr + head;
      const value = values + <usize>from * kr + head;
      const four = f32x4.splat(scale);
      let j = 0;
      for (; j + 4 <= count; j += 4) {
        const at = key + <usize>j * kr;
        let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
        for (let c: usize = 0; c < bytes; c += 16) {
          const x = v128.load(query + c);
          s0 = f32x4.add(s0, f32x4.mul(x, v128.load(at + c)));
          s1 = f32x4.add(s1, f32x4.mul(x, v128.load(at + kr + c)));
          s2 = f32x4.add(s2, f32x4.mul(x, v128.load(at + 2 * kr + c)));
          s3 = f32x4.add(s3, f32x4.mul(x, v128.load(at + 3 * kr + c)));
        }
        v128.store(scratch + ((<usize>j) << 2), f32x4.mul(four, sums4(s0, s1, s2, s3)));
      }
      for (; j < count; j++)
        store<f32>(scratch + ((<usize>j) << 2), scale * sum4(dot(query, key + <usize>j * kr, bytes)));
      // The lanes behind the last weight count for nothing.
      for (; j & 3; j++) store<f32>(scratch + ((<usize>j) << 2), -Infinity);
      let most = v128.load(scratch);
      for (let t = 4; t < j; t += 4) most = f32x4.max(most, v128.load(scratch + ((<usize>t) << 2)));
      const top = max(
        max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1)),
        max(f32x4.extract_lane(most, 2), f32x4.extract_lane(most, 3)),
      );
      let total = f32x4.splat(0);
      for (let t = 0; t < j; t += 4) {
        const at = scratch + ((<usize>t) << 2);
        const weight = exp4(f32x4.sub(v128.load(at), f32x4.splat(top)));
        v128.store(at, weight);
        total = f32x4.add(total, weight);
      }
      const sum = sum4(total);
      store<f32>(stat, top + f32x4.extract_lane(log4(f32x4.splat(sum)), 0) + factor);
      const share = f32x4.splat(1 / sum + factor);
      let c: usize = 0;
      for (; c + 64 <= bytes; c += 64) {
        let o0 = f32x4.splat(0), o1 = f32x4.splat(0), o2 = f32x4.splat(0), o3 = f32x4.splat(0);
        let at = value + c;
        for (let t = 0; t < count; t++) {
          const weight = v128.load32_splat(scratch + ((<usize>t) << 2));
          o0 = f32x4.add(o0, f32x4.mul(weight, v128.load(at)));
          o1 = f32x4.add(o1, f32x4.mul(weight, v128.load(at, 16)));
          o2 = f32x4.add(o2, f32x4.mul(weight, v128.load(at, 32)));
          o3 = f32x4.add(o3, f32x4.mul(weight, v128.load(at, 48)));
          at += kr;
        }
        v128.store(o + c, f32x4.mul(o0, share));
        v128.store(o + c, f32x4.mul(o1, share), 16);
        v128.store(o + c, f32x4.mul(o2, share), 32);
        v128.store(o + c, f32x4.mul(o3, share), 48);
      }
      for (; c < bytes; c += 16) {
        let o0 = f32x4.splat(0);
        let at = value + c;
        for (let t = 0; t < count; t++) {
          o0 = f32x4.add(o0, f32x4.mul(v128.load32_splat(scratch + ((<usize>t) << 2)), v128.load(at)));
          at += kr;
        }
        v128.store(o + c, f32x4.mul(o0, share));
      }
    }
  }
}
