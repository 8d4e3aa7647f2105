/** The kinds of heads, by the name that `head` has in the settings. */
import { dot } from './dot.ts';
import type { HeadKind } from './head.ts';
import { mol } from './mixture-of-logits.ts';

export const HEADS = { dot, mol } satisfies Record<string, HeadKind>;
