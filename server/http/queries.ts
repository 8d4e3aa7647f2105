/** List options in an address: arrays repeat the name, `caps=genre:2`, `calibrate=genre:0.3`, `expose=brand:small>=0.2`. */
import Type, { type Static } from 'typebox';
import type { ListOptions } from '../serving/lists.ts';
import { Problem } from './problem.ts';
import { Id, listOptions } from './schemas.ts';

const { exclude, caps, calibrate, expose, explore, includeSeen, explain, ...plain } = listOptions;

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
  calibrate: Type.Optional(
    Type.Array(Type.String({ pattern: '^[^:]{1,256}:(0|1|0?\\.[0-9]{1,9})$', examples: ['genre:0.3'] }), {
      maxItems: 16,
      description:
        "ATTRIBUTE:WEIGHT, how much having its values in the proportions of the user's history counts against the score; repeat the name for each",
    }),
  ),
  expose: Type.Optional(
    Type.Array(
      Type.String({ pattern: '^[^:]{1,256}:.{1,1024}>=(1|0?\\.[0-9]{1,9})$', examples: ['brand:small>=0.2'] }),
      {
        maxItems: 16,
        description:
          "ATTRIBUTE:VALUE>=SHARE, items whose attribute has the value get at least that share of the list's exposure; repeat the name for each",
      },
    ),
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

export function optionsOfQuery({ caps, calibrate, expose, explore: method, ...rest }: QueryOptions): ListOptions {
  return {
    ...rest,
    caps: caps && numbersOf('caps', caps),
    calibrate: calibrate && numbersOf('calibrate', calibrate),
    expose: expose?.map((floor) => {
      const [colon, sign] = [floor.indexOf(':'), floor.lastIndexOf('>=')];
      const [attribute, value] = [floor.slice(0, colon), floor.slice(colon + 1, sign)];
      return { attribute, value, share: Number(floor.slice(sign + 2)) };
    }),
    explore: method ? { method } : undefined,
  };
}

/** `genre:2` by name. @throws Problem where a name is given twice */
function numbersOf(option: string, given: readonly string[]): Record<string, number> {
  const numbers = new Map<string, number>();
  for (const one of given) {
    const [name, number] = one.split(':');
    if (numbers.has(name)) throw new Problem(400, 'invalid-request', `${option}: ${name} is named twice`, option);
    numbers.set(name, Number(number));
  }
  return Object.fromEntries(numbers);
}
