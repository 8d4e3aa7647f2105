import { CODES } from '../packed.ts';
import type { Reference } from '../reference.ts';
import { codeAt } from './coded-rows.ref.ts';

export const codedScoresReference: Reference = ({ s, codes, scales, c }, { r, n, each, row, ldc, scaled, norm }) => {
  for (let j = 0; j < n; j++) {
    for (let i = 0; i < r; i++) {
      let sum = 0;
      for (let m = 0; m < each; m++) sum += s[(i * each + m) * CODES + codeAt(codes, (row + j) * each + m)];
      c[i * ldc + j] = norm ? 1 / Math.sqrt(sum + 1e-12) : sum * (scaled ? scales[row + j] : 1);
    }
  }
};
