/** A model's metrics by the domain of the target: among all items, and among those of the domain. */
import type { HeldOutPart, Split } from '../../data/splits/split.ts';
import { HEADLINES, type Headline, type PerUser } from './collector.ts';

export interface DomainMetrics {
  /** Users whose target is of the domain, and items of it. */
  users: number;
  items: number;
  /** Ranked among all items: weighted by users, the domains' metrics add up to those of the whole. */
  metrics: Record<Headline, number>;
  /** Ranked among the items of the domain alone, as a model of the domain ranks them. */
  within: Record<Headline, number>;
}

/** Whether a protocol has one target for each user, ranked among the whole catalog: what domains are told apart by. */
export const hasDomains = ({ manyTargets, protocol }: Split): boolean =>
  !manyTargets && protocol.name !== 'sampled-100' && protocol.name !== 'cold-items';

/**
 * @param domains of each item
 * @param whole the users' metrics among all items
 * @param rank evaluates the same users, without the items that `outside` gives for a user
 * @returns by domain, those with most users first
 */
export async function evaluateDomains(
  split: Split,
  part: HeldOutPart,
  domains: readonly string[],
  whole: PerUser,
  rank: (outside: (user: number) => Uint32Array) => Promise<{ perUser: PerUser }>,
): Promise<Map<string, DomainMetrics>> {
  const outside = new Map<string, Uint32Array>();
  for (const domain of new Set(domains)) {
    const others = domains.flatMap((own, row) => (own === domain ? [] : [row]));
    outside.set(domain, Uint32Array.from(others));
  }
  const domainOf = (user: number): string => domains[split.targets(user, part)[0]];
  const { perUser } = await rank((user) => outside.get(domainOf(user)) as Uint32Array);
  const found = new Map<string, DomainMetrics>();
  const zeros = () => Object.fromEntries(HEADLINES.map((name) => [name, 0])) as Record<Headline, number>;
  for (const [of, { users, ...values }] of [
    ['metrics', whole],
    ['within', perUser],
  ] as const) {
    users.forEach((user, i) => {
      const domain = domainOf(user);
      const own = found.get(domain) ?? { users: 0, items: 0, metrics: zeros(), within: zeros() };
      found.set(domain, own);
      if (of === 'metrics') own.users++;
      for (const name of HEADLINES) own[of][name] += values[name][i];
    });
  }
  for (const [domain, own] of found) {
    own.items = domains.length - (outside.get(domain)?.length ?? 0);
    for (const of of ['metrics', 'within'] as const) for (const name of HEADLINES) own[of][name] /= own.users;
  }
  return new Map([...found].sort(([, a], [, b]) => b.users - a.users));
}
