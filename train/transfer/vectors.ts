/** Rows by ready-made vectors, such as those of a model of texts: a linear map that is learned on the other model's items. */
import { inferSchema, numbersOf, recordOf, type Schema } from '../../data/features/schema.ts';
import type { CatalogItem } from '../../data/formats/catalog.ts';
import { InputError } from '../../data/errors.ts';
import type { ItemKernel } from './kernel-ridge.ts';
import { learnableRows, rowsAt, scattered } from './learnable.ts';
import type { RowMap } from './row-map.ts';

export const byVectors: RowMap = {
  help: 'every item gets the row that its precomputed vectors suggest, by a linear map that is fitted on the items of the model',
  plan(from, to) {
    const schema = inferSchema([...from, ...to]);
    const vectorOf = reader(schema);
    const { known, fresh } = learnableRows(from, to, (item) => vectorOf(item) !== null, 'vectors');
    return async (device, { rows }, d, pause) => {
      const points = [...known.map((row) => from[row]), ...fresh.map((v) => to[v])].map(
        (item) => vectorOf(item) as Float32Array,
      );
      const learned = { kernels: [linear(points)], known: rowsAt(rows, d, known), d, count: fresh.length };
      // The engine is not loaded to tell which maps there are.
      const { kernelRidge } = await import('./kernel-ridge.ts');
      const { rows: made, explained } = await kernelRidge(device, learned, pause);
      return { ...scattered(made, d, fresh, to.length), explained };
    };
  },
};

/** Reads an item's vectors, one after the other, in units of their spread; null where it lacks one. @throws InputError for no column of them */
function reader({ columns, titleYear }: Schema): (item: CatalogItem) => Float32Array | null {
  const read = columns.filter(({ type }) => type === 'vector');
  if (read.length === 0)
    throw new InputError('missing-column', 'no column of vectors that both catalogs have', {
      setting: 'map',
      value: 'vectors',
      hint: `give vectors of one model for the items of both`,
    });
  return (item) => {
    const record = recordOf(item, item.id, titleYear);
    const values: number[] = [];
    for (const { name, separator = ' ', width = 0, centre = [], spread = 1 } of read) {
      const numbers = numbersOf(record.get(name)?.trim() ?? '', separator);
      if (numbers?.length !== width) return null;
      numbers.forEach((x, c) => values.push((x - centre[c]) / spread));
    }
    return Float32Array.from(values);
  };
}

/** x · y / width: ridge regression from the vectors themselves. */
function linear(points: readonly Float32Array[]): ItemKernel {
  return (i, out) => {
    const x = points[i];
    points.forEach((y, j) => {
      let sum = 0;
      for (let c = 0; c < x.length; c++) sum += x[c] * y[c];
      out[j] = sum / x.length;
    });
  };
}
