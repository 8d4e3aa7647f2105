import { unaryReferences } from './shared/unary.ts';

export const expReferences = unaryReferences(Math.exp, Math.exp);
