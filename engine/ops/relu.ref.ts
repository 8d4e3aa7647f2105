import { unaryReferences } from './shared/unary.ts';

export const reluReferences = unaryReferences(
  (x) => Math.max(x, 0),
  (x) => (x > 0 ? 1 : 0),
);
