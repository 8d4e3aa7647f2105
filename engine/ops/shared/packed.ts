/** What the kernels of kernels/packed/ have in common. */
import type { Constants, Params } from '../../kernel.ts';
import { TABLE_FORMATS, type TableFormat } from '../../packed.ts';

const BY_BITS = new Map(
  (Object.keys(TABLE_FORMATS) as TableFormat[]).map((format) => [TABLE_FORMATS[format].bits as number, format]),
);

/** The format whose numbers have so many bits. */
export const formatOf = (bits: number): TableFormat => BY_BITS.get(bits) as TableFormat;

/** The constant of every kernel that reads a compressed table. */
export const bitsConstant = (p: Params): Constants => ({ BITS: p.bits });
