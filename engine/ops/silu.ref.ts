import { unaryReferences } from './shared/unary.ts';

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const siluReferences = unaryReferences(
  (x) => x * sigmoid(x),
  (x) => sigmoid(x) * (1 + x * sigmoid(-x)),
);
