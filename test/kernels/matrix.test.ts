/**
 * The product through subgroup matrices, on adapters that have none: the matrices and their three functions are stood in
 * for by plain WGSL, so that all the rest of the kernel (tiles, layouts, scaling, epilogue) is held to the reference.
 * What hardware does with the matrices themselves stays untested.
 */
import { describe, expect, it } from 'vitest';
import { sources } from '../../kernels/index.ts';
import { matrices, mixedCases } from './cases/matmul.ts';
import { double, gpu } from './devices.ts';
import { firstMismatch, makeInputs, makeWeights } from './harness.ts';
import { runCase } from './run-case.ts';

/**
 * A stand-in of 32 threads a subgroup, whatever the adapter's own; each keeps every 32nd element of a sum. The bounds of
 * its loops are unknown to the compiler, which would unroll them into minutes of compiling.
 */
const STAND_IN = `
fn stand_in_multiply(lane: u32, left: vec2u, right: vec2u, sum: Sum) -> Sum {
  var next = sum;
  for (var e = 0u; e < select(0u, SM * SN / 32u, p.m > 0u); e++) {
    let i = 32u * e + lane;
    for (var k = 0u; k < select(0u, SK, p.m > 0u); k++) {
      next[e] += f32(tile_a[left.x + k * left.y + i / SN]) * f32(tile_b[right.x + k * right.y + i % SN]);
    }
  }
  return next;
}
fn stand_in_store(lane: u32, at: u32, sum: Sum) {
  for (var e = 0u; e < select(0u, SM * SN / 32u, p.m > 0u); e++) { scratch[at + 32u * e + lane] = sum[e]; }
}
`;

/** What each replacement must find, so that the kernel cannot change unseen. */
const REPLACE: [RegExp, string, number][] = [
  [/enable (subgroups|chromium_experimental_subgroup_matrix);\n/g, '', 2],
  [/alias (Left|Right) = subgroup_matrix_\w+<[^>]+>;/g, 'alias $1 = vec2u;', 2],
  [/alias Sum = subgroup_matrix_result<f32, SN, SM>;/g, 'alias Sum = array<f32, SM * SN / 32u>;', 1],
  [/subgroupMatrixLoad<Left,col_major>\(&tile_a,([^;]+),LINE_A\)/g, 'vec2u($1, LINE_A)', 1],
  [/subgroupMatrixLoad<Right,row_major>\(&tile_b,([^;]+),LINE_B\)/g, 'vec2u($1, LINE_B)', 1],
  [/subgroupMatrixMultiplyAccumulate\(/g, 'stand_in_multiply(lane, ', 1],
  [/subgroupMatrixStore<row_major>\(&scratch,mine,([^;]+),SN\);/g, 'stand_in_store(lane, mine, $1);', 1],
  [
    /,@builtin\(subgroup_id\)sg:u32,\s*@builtin\(subgroup_invocation_id\)lane:u32\)\{/g,
    ') {\n  let sg = lid / LANES;\n  let lane = lid % LANES;',
    1,
  ],
];

function standIn(source: string): string {
  let code = source;
  for (const [pattern, by, times] of REPLACE) {
    expect(code.match(pattern)?.length, String(pattern)).toBe(times);
    code = code.replaceAll(pattern, by);
  }
  return `${code}${STAND_IN}`;
}

(sources as Record<string, string>).matmul_matrix = standIn(sources.matmul_matrix);
const all = [16, 8].flatMap((m) => [16, 8].map((n) => ({ m, n, k: 16 })));
Object.assign(gpu.caps ?? {}, { subgroupMin: 32, subgroupMax: 32, matrices: all });

describe('products through subgroup matrices, stood in for', () => {
  // The backward of the first has the other two layouts; the rest would compile them again for other sums.
  for (const c of mixedCases.filter((_, i) => i === 0 || i > 4)) {
    it(c.name, async ({ skip }) => {
      if (!gpu.caps?.f16) return skip('the adapter has no shader-f16');
      const data = makeInputs(c);
      const { outputs } = await runCase(c, double, data);
      const weights = makeWeights(c, outputs);
      const expected = await runCase(c, double, data, weights);
      gpu.gpu?.variants.used.clear();
      gpu.gpu?.variants.forced.set('matmul_mixed', matrices[0]);
      const actual = await runCase(c, gpu, data, weights).finally(() => gpu.gpu?.variants.forced.clear());
      expect(gpu.variants().matmul_mixed).toEqual([matrices[0]]);
      const tolerance = c.tolerance as { abs: number; rel: number };
      expect(firstMismatch('output', actual.outputs[0], expected.outputs[0], tolerance)).toBeNull();
      for (const [name, g] of Object.entries(expected.grads))
        expect(firstMismatch(`d${name}`, actual.grads[name], g, tolerance)).toBeNull();
    });
  }

  // Tiles of 128 × 128 take long to compile here; other sizes of matrices differ in their constants alone.
  for (const choice of [matrices[2], matrices[4]]) {
    it(choice, async ({ skip }) => {
      if (!gpu.caps?.f16) return skip('the adapter has no shader-f16');
      const [c] = mixedCases;
      const data = makeInputs(c);
      const expected = await runCase(c, double, data);
      gpu.gpu?.variants.forced.set('matmul_mixed', choice);
      const actual = await runCase(c, gpu, data).finally(() => gpu.gpu?.variants.forced.clear());
      const tolerance = c.tolerance as { abs: number; rel: number };
      expect(firstMismatch(choice, actual.outputs[0], expected.outputs[0], tolerance)).toBeNull();
    });
  }
});
