/** The kinds of blocks, by the name that `block` has in the settings. */
import type { BlockKind } from '../context.ts';
import { hstu } from './hstu.ts';
import { ligr } from './ligr.ts';
import { recurrent } from './recurrent.ts';
import { transformer } from './transformer.ts';

export const BLOCKS = { transformer, ligr, hstu, recurrent } satisfies Record<string, BlockKind>;
