import { command, type FlagsOf, withDefault } from '../flags/declare.ts';
import { json } from '../flags/shared.ts';
import { integerFlag } from '../flags/values.ts';

const flags = {
  items: withDefault(integerFlag('<n>', 'size of the catalog, for the number of parameters', 1), 3416),
  json,
};

export type RecipesFlags = FlagsOf<typeof flags>;

export default command({
  name: 'recipes',
  summary: 'List what can be trained, what it costs and what it reaches',
  details:
    'A recipe is an architecture and how to train it, as in the paper that it names. --set key=value of attune train changes any of its settings.',
  example: 'recipes --items 3416',
  flags,
  run: async (flags) => (await import('./recipes.ts')).runRecipes(flags),
});
