import { unaryReferences } from './shared/unary.ts';

export const logReferences = unaryReferences(Math.log, (x) => 1 / x);
