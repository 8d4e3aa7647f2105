/** Which items compete with a user's targets. */
import { seeded } from '../../data/random.ts';
import { ColdSplit } from '../../data/splits/cold.ts';
import { NEGATIVES } from '../../data/splits/protocol.ts';
import type { Split } from '../../data/splits/split.ts';

/** The items that are no candidates; null where all are. */
export type Exclusion = (u: number) => Uint32Array | null;

/**
 * Full ranking excludes what stands in the history (or nothing, with seen items kept). `sampled-100` leaves the target
 * and 100 items that stand nowhere in the user's events, drawn by the protocol's seed, and excludes all others;
 * `cold-items` all that are not cold in this part.
 */
export function exclusions(parts: Split, part: 'valid' | 'test', seen: 'excluded' | 'kept'): Exclusion {
  if (parts instanceof ColdSplit) {
    const [from, to] = parts.candidates(part);
    const others = Uint32Array.from({ length: parts.items - (to - from) }, (_, i) => (i < from ? i : i + to - from));
    return () => others;
  }
  if (parts.protocol.name === 'sampled-100') return (u) => allBut(parts, part, u);
  return seen === 'excluded' ? (u) => parts.history(u, part) : () => null;
}

function allBut(parts: Split, part: 'valid' | 'test', u: number): Uint32Array {
  const keep = new Set(sampleNegatives(parts, part, u));
  for (const target of parts.targets(u, part)) keep.add(target);
  const excluded = new Uint32Array(parts.items - keep.size);
  for (let item = 0, at = 0; item < parts.items; item++) if (!keep.has(item)) excluded[at++] = item;
  return excluded;
}

/** 100 distinct items that user u never had, in training, validation or test; fewer where there are no more. */
export function sampleNegatives(parts: Split, part: 'valid' | 'test', u: number): Uint32Array {
  const { items, offsets } = parts.dataset;
  const own = new Set(items.subarray(offsets[u], offsets[u + 1]));
  const free = parts.items - own.size;
  const random = seeded(parts.protocol.parameters.seed as number, 2 * u + (part === 'test' ? 1 : 0));
  if (free <= 4 * NEGATIVES) {
    // Few are left: shuffle them instead of drawing until new ones come.
    const left: number[] = [];
    for (let item = 0; item < parts.items; item++) if (!own.has(item)) left.push(item);
    for (let i = 0; i < Math.min(NEGATIVES, left.length); i++) {
      const j = i + random.below(left.length - i);
      [left[i], left[j]] = [left[j], left[i]];
    }
    return Uint32Array.from(left.slice(0, NEGATIVES));
  }
  const drawn = new Set<number>();
  while (drawn.size < NEGATIVES) {
    const item = random.below(parts.items);
    if (!own.has(item)) drawn.add(item);
  }
  return Uint32Array.from(drawn);
}
