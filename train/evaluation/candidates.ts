/** The candidates that a user's targets are ranked against. */
import { seeded } from '../../data/random.ts';
import { ColdSplit } from '../../data/splits/cold.ts';
import { NEGATIVES } from '../../data/splits/protocol.ts';
import type { Split } from '../../data/splits/split.ts';

/** The items that are not candidates of user u; null if all are. */
export type Exclusion = (u: number) => Uint32Array | null;

/**
 * Full ranking excludes the items of the history (or nothing, with seen items kept). `sampled-100` excludes everything but
 * the targets and 100 items without an event of the user, drawn with the protocol's seed; `cold-items` excludes every item
 * that is not cold in this part.
 */
export function exclusions(split: Split, part: 'valid' | 'test', seen: 'excluded' | 'kept'): Exclusion {
  if (split instanceof ColdSplit) {
    const [from, to] = split.candidates(part);
    const others = Uint32Array.from({ length: split.items - (to - from) }, (_, i) => (i < from ? i : i + to - from));
    return () => others;
  }
  if (split.protocol.name === 'sampled-100') return (u) => allBut(split, part, u);
  return seen === 'excluded' ? (u) => split.history(u, part) : () => null;
}

function allBut(split: Split, part: 'valid' | 'test', u: number): Uint32Array {
  const keep = new Set(sampleNegatives(split, part, u));
  for (const target of split.targets(u, part)) keep.add(target);
  const excluded = new Uint32Array(split.items - keep.size);
  for (let item = 0, at = 0; item < split.items; item++) if (!keep.has(item)) excluded[at++] = item;
  return excluded;
}

/** 100 distinct items without an event of user u in training, validation, or test; fewer if there are no more. */
export function sampleNegatives(split: Split, part: 'valid' | 'test', u: number): Uint32Array {
  const { items, offsets } = split.dataset;
  const own = new Set(items.subarray(offsets[u], offsets[u + 1]));
  const free = split.items - own.size;
  const random = seeded(split.protocol.parameters.seed as number, 2 * u + (part === 'test' ? 1 : 0));
  if (free <= 4 * NEGATIVES) {
    // Few are left: a partial shuffle instead of rejection sampling.
    const left: number[] = [];
    for (let item = 0; item < split.items; item++) if (!own.has(item)) left.push(item);
    for (let i = 0; i < Math.min(NEGATIVES, left.length); i++) {
      const j = i + random.below(left.length - i);
      [left[i], left[j]] = [left[j], left[i]];
    }
    return Uint32Array.from(left.slice(0, NEGATIVES));
  }
  const drawn = new Set<number>();
  while (drawn.size < NEGATIVES) {
    const item = random.below(split.items);
    if (!own.has(item)) drawn.add(item);
  }
  return Uint32Array.from(drawn);
}
