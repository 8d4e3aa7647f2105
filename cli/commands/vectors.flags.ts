import { command, type FlagsOf, text, withDefault } from '../flags/declare.ts';
import { data, logFlags, model, overwrite, runFlags, users } from '../flags/shared.ts';

const flags = {
  model,
  out: text('<dir>', 'folder of the vectors, as .npy and .parquet'),
  to: text('<address>', 'database of the vectors: postgres://USER@HOST/DATABASE with pgvector (password: PGPASSWORD)'),
  table: withDefault(text('<name>', 'begin of the names of the tables of --to: NAME_items, NAME_users'), 'attune'),
  data: data('a log: write vectors of its users, too'),
  users,
  overwrite: overwrite('vectors in --out or --to'),
  ...logFlags,
  ...runFlags,
};

export type VectorsFlags = FlagsOf<typeof flags>;

export default command({
  name: 'vectors',
  summary: 'Write item and user vectors for a vector database',
  details:
    "With --out writes items.npy (float32, one row for each item), items.parquet (id, vector) and items.ids.json (the IDs, row by row), with --to a table of id and vector, in one transaction. With --data the same of the users: the encoder's state after each user's whole history. The product of a user's and an item's vector is the score of the transformer alone; item transitions are no product of vectors, and are left out.",
  example: 'vectors --model my-model --out vectors --data ratings.csv',
  flags,
  run: async (flags) => (await import('./vectors.ts')).runVectors(flags),
});
