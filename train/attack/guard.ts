/** Leaves users out of a training whose profiles look injected, and says who and why: the setting `guard`. */
import { InputError } from '../../data/errors.ts';
import { ColdSplit } from '../../data/splits/cold.ts';
import type { Split } from '../../data/splits/split.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import { count, examples } from '../side-features.ts';
import { detectProfiles, type Suspicion } from './detect.ts';
import { type Feature, FEATURE_NAMES } from './features.ts';

/** What `guard.json` in the model folder holds. */
export interface Guard {
  /** Users with training events, of whom those below were left out. */
  users: number;
  /** Whether so many items look pushed that it is how this log is, and nobody was left out. */
  unclear: boolean;
  leftOut: Suspect[];
  /** What they push: items that more of the odd users have than chance allows. */
  targets: { item: string; users: number; leftOut: number; evidence: number }[];
}

export interface Suspect {
  user: string;
  score: number;
  /** The item that the user shares with others as odd. */
  target: string;
  /** −log10 of the probability that chance gives any item so many odd users. */
  evidence: number;
  /** How far the profile is from those of users with as many items, in robust standard deviations. */
  reasons: Record<Feature, number>;
}

/**
 * The split without the users who look injected; the same split where none does, and without the setting.
 * @throws InputError under the protocol cold-items, which removes items from the profiles
 */
export function guarded(split: Split, settings: Settings): { split: Split; guard: Guard | null } {
  if (settings.guard === 'off') return { split, guard: null };
  if (split instanceof ColdSplit)
    throw new InputError('conflicting-settings', 'profiles without their cold items cannot be judged', {
      setting: 'protocol',
      value: 'cold-items',
      hint: 'leave out the guard (guard=off)',
    });
  const found = detectProfiles(split);
  const guard = describe(split, found);
  if (guard.leftOut.length === 0) return { split, guard };
  return { split: split.without(found.injected), guard };
}

function describe(split: Split, { injected, score, target, evidence, z, unclear }: Suspicion): Guard {
  const { userIds, itemIds } = split.dataset;
  const suspects = Array.from(injected.keys()).filter((u) => injected[u]);
  suspects.sort((a, b) => score[b] - score[a] || a - b);
  const shared = new Map<number, { users: number; leftOut: number; evidence: number }>();
  for (const u of suspects) {
    const known = shared.get(target[u]) ?? { users: 0, leftOut: 0, evidence: evidence[u] };
    known.leftOut++;
    shared.set(target[u], known);
  }
  let users = 0;
  for (let u = 0; u < split.users; u++) {
    const history = split.history(u, 'train');
    if (history.length > 0) users++;
    for (const item of new Set(history)) {
      const known = shared.get(item);
      if (known) known.users++;
    }
  }
  return {
    users,
    unclear,
    leftOut: suspects.map((u) => ({
      user: userIds[u],
      score: score[u],
      target: itemIds[target[u]],
      evidence: evidence[u],
      reasons: Object.fromEntries(FEATURE_NAMES.map((name) => [name, z[name][u]])) as Suspect['reasons'],
    })),
    targets: Array.from(shared, ([row, facts]) => ({ item: itemIds[row], ...facts })),
  };
}

/** A line for people. */
export function describeGuard({ users, unclear, leftOut, targets }: Guard): string {
  if (unclear)
    return 'guard: more items look pushed than an attack would push; injected profiles cannot be told apart in this log, and nobody is left out';
  if (leftOut.length === 0) return `guard: none of ${count(users)} users looks injected`;
  const pushed = examples(targets.map(({ item }) => item));
  return `guard: ${count(leftOut.length)} of ${count(users)} users look injected and are left out (${examples(leftOut.map(({ user }) => user))}); they push ${pushed}; guard.json says why`;
}
