import { unaryReferences } from './shared/unary.ts';

/** 0 at 0, and NaN stays NaN. */
export const reluSlope = (x: number): number => (x > 0 ? 1 : Number.isNaN(x) ? x : 0);

export const reluReferences = unaryReferences((x) => Math.max(x, 0), reluSlope);
