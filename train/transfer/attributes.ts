/** Rows by attributes: what the other model's item tower makes of them, or kernel ridge regression from shared values. */
import { inferSchema } from '../../data/features/schema.ts';
import { similarity } from '../../data/features/similarity.ts';
import type { CatalogItem } from '../../data/formats/catalog.ts';
import type { ItemKernel } from './kernel-ridge.ts';
import { learnableRows, rowsAt, scattered } from './learnable.ts';
import type { RowMap } from './row-map.ts';

/** Weights of texts beside other columns that are tried (data/features/similarity.ts). */
const TEXTS = [0.3, 1, 3];

const described = ({ id, title, attributes }: CatalogItem): boolean =>
  Object.keys(attributes).length > 0 || (title !== '' && title !== id);

export const byAttributes: RowMap = {
  help: 'every item gets the row that its attributes and title suggest: by the item tower of the model, or without one by kernel ridge regression on its items',
  readsTower: true,
  plan(from, to) {
    const { known, fresh } = learnableRows(from, to, described, 'attributes');
    return async (device, { rows, towerRows }, d, pause) => {
      if (towerRows) return scattered(rowsAt(towerRows, d, fresh), d, fresh, to.length);
      const items = [...known.map((row) => from[row]), ...fresh.map((v) => to[v])];
      const similar = similarity(inferSchema(items), items);
      const kernels = TEXTS.map(
        (text): ItemKernel =>
          (i, out) =>
            similar(i, text, out),
      );
      const learned = { kernels, known: rowsAt(rows, d, known), d, count: fresh.length };
      // The engine is not loaded to tell which maps there are.
      const { kernelRidge } = await import('./kernel-ridge.ts');
      const { rows: made, explained } = await kernelRidge(device, learned, pause);
      return { ...scattered(made, d, fresh, to.length), explained };
    };
  },
};
