/** Vectors as Parquet: `id` (string) and `vector` (list of float32), both required, as vector databases take them. */
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import type { SchemaElement } from 'hyparquet-writer';

/** Rows that are handed over at once; also the size of a row group. */
const ROWS = 20_000;

const SCHEMA: SchemaElement[] = [
  { name: 'schema', num_children: 2 },
  { name: 'id', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
  { name: 'vector', converted_type: 'LIST', repetition_type: 'REQUIRED', num_children: 1 },
  { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
  { name: 'element', type: 'FLOAT', repetition_type: 'REQUIRED' },
];

/** The bytes of a file with a row an ID; `values` is [ids, width]. Uncompressed: random mantissas do not shrink. */
export async function vectorsParquet(ids: readonly string[], values: Float32Array, width: number): Promise<Uint8Array> {
  const writer = new ByteWriter();
  const file = new ParquetWriter({
    writer,
    schema: SCHEMA,
    codec: 'UNCOMPRESSED',
    statistics: false,
    createdBy: 'attune',
  });
  for (let from = 0; from < ids.length; from += ROWS) {
    const some = ids.slice(from, from + ROWS);
    const vectors = some.map((_, i) => Array.from(values.subarray((from + i) * width, (from + i + 1) * width)));
    await file.write({
      columnData: [
        { name: 'id', data: some },
        { name: 'vector', data: vectors },
      ],
      rowGroupSize: ROWS,
    });
  }
  await file.finish();
  return writer.getBytes();
}
