import { unaryReferences } from './shared/unary.ts';

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const sigmoidReferences = unaryReferences(sigmoid, (x) => sigmoid(x) * sigmoid(-x));
