/** What an op is measured against, and what the CPU device runs: naive loops. */
import type { Params } from './kernel.ts';
import type { NumericArray } from './tensor.ts';

/** Arrays of a dispatch by binding name, as a reference sees them. */
export type Arrays = Record<string, NumericArray>;
/** The naive loops of an op: reads and writes `arrays`, in double arithmetic. */
export type Reference = (arrays: Arrays, params: Params) => void;
