import { command, type FlagsOf, required, text } from '../flags/declare.ts';
import { data, logFlags, model, overwrite, runFlags, users } from '../flags/shared.ts';

const flags = {
  model,
  out: required(text('<dir>', 'folder of the vectors')),
  data: data('a log: write vectors of its users, too'),
  users,
  overwrite: overwrite('vectors in --out'),
  ...logFlags,
  ...runFlags,
};

export type VectorsFlags = FlagsOf<typeof flags>;

export default command({
  name: 'vectors',
  summary: 'Write item and user vectors for a vector database',
  details:
    "Writes items.npy (float32, one row for each item), items.parquet (id, vector) and items.ids.json (the IDs, row by row). With --data also users.npy, users.parquet and users.ids.json: the encoder's state after each user's whole history. The product of a user's and an item's vector is the score of the transformer alone; item transitions are no product of vectors, and are left out.",
  example: 'vectors --model my-model --out vectors --data ratings.csv',
  flags,
  run: async (flags) => (await import('./vectors.ts')).runVectors(flags),
});
