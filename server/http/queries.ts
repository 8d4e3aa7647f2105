/** List options in an address: arrays repeat the name, `caps=genre:2`. */
import Type, { type Static } from 'typebox';
import type { ListOptions } from '../serving/lists.ts';
import { Problem } from './problem.ts';
import { Id, listOptions } from './schemas.ts';

const { exclude, caps, explore, includeSeen, explain, ...plain } = listOptions;

export const queryOptions = {
  ...plain,
  exclude: Type.Optional(
    Type.Array(Id, { maxItems: 1000, description: 'items that are left out; repeat the name for each' }),
  ),
  caps: Type.Optional(
    Type.Array(Type.String({ pattern: '^[^:]{1,256}:[1-9][0-9]{0,2}$', examples: ['genre:2'] }), {
      maxItems: 16,
      description:
        'ATTRIBUTE:N, how many items of the list may share a value of the attribute; repeat the name for each',
    }),
  ),
  explore: Type.Optional(
    Type.Enum(['epsilon-greedy', 'thompson', 'ucb'], {
      description: 'how some items of which little is known get into the list; default: not at all',
    }),
  ),
  includeSeen,
  explain,
};

type QueryOptions = Static<Type.TObject<typeof queryOptions>>;

export function optionsOfQuery({ caps: given, explore: method, ...rest }: QueryOptions): ListOptions {
  const limits = new Map<string, number>();
  for (const cap of given ?? []) {
    const [name, most] = cap.split(':');
    if (limits.has(name)) throw new Problem(400, 'invalid-request', `caps: ${name} is named twice`, 'caps');
    limits.set(name, Number(most));
  }
  return {
    ...rest,
    caps: given ? Object.fromEntries(limits) : undefined,
    explore: method ? { method } : undefined,
  };
}
