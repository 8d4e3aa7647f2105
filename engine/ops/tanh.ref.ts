import { unaryReferences } from './shared/unary.ts';

export const tanhReferences = unaryReferences(Math.tanh, (x) => 1 - Math.tanh(x) ** 2);
