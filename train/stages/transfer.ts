/** Before the encoder, in a training that starts from another model: its weights in place of the seed's (train/transfer). */
import { encodeItems } from '../../data/features/encoder.ts';
import type { Device } from '../../engine/index.ts';
import { ITEM_WEIGHTS } from '../../model/encoders/network.ts';
import { SequenceModel, toArrays } from '../../model/encoders/sequence-model.ts';
import { settingsOf } from '../../model/inference/ranking-model.ts';
import { type Item, saveInit } from '../../model/storage/config.ts';
import type { LoadedModel } from '../../model/storage/load-model.ts';
import type { SourceRows } from '../transfer/row-map.ts';
import type { RankingStage } from './training-run.ts';

export const transfer: RankingStage = {
  name: 'transfer',

  applies: ({ init }) => init !== null,

  estimate: () => 0, // it takes what it needs

  load: async () => false,

  async run(run, budget) {
    const { plan, device, files, encoder } = run;
    if (!plan.init) throw new Error('transfer: the plan has nothing to start from');
    const { loaded, findRows, readsTower, carried, record } = plan.init;
    const time = budget.untilStopped(); // there is nothing to train without
    run.report('transfer');
    const { d } = plan.settings;
    const source = await rowsOf(device, loaded, readsTower ? plan.items : []);
    const { rows, mapped, explained } = await findRows(device, source, d, () => time.pause());
    const values = await encoder.parameters.read();
    const table = values.get(ITEM_WEIGHTS);
    if (!table) throw new Error(`transfer: the encoder has no ${ITEM_WEIGHTS}`);
    for (let v = 0; v < mapped.length; v++) if (mapped[v] === 1) table.set(rows.subarray(v * d, (v + 1) * d), v * d);
    const given = toArrays(loaded.tensors);
    for (const name of carried) values.set(name, given.get(name) as Float32Array);
    encoder.parameters.load('params', values);
    run.initialized = true;
    const count = mapped.reduce((sum, one) => sum + one, 0);
    await saveInit(files, { ...record, rows: count, ...(explained !== undefined && { explained }) });
  },
};

/** The rows of the other model's items, and of `fresh` ones by its item tower, where it has one. */
async function rowsOf(device: Device, loaded: LoadedModel, fresh: readonly Item[]): Promise<SourceRows> {
  const { config, items, tensors, path } = loaded;
  const settings = settingsOf(loaded);
  if (settings.items !== 'tower') {
    const table = tensors.get(ITEM_WEIGHTS);
    if (!table) throw new Error(`transfer: the model has no ${ITEM_WEIGHTS}`);
    return { rows: Float32Array.from(table.data), towerRows: null };
  }
  const { items: schema } = config.schema;
  if (!schema) throw new Error('transfer: a model with a tower has no schema of its items');
  const all = [...items, ...fresh];
  const model = SequenceModel.load(device, settings, all.length, tensors, encodeItems(schema, all), path);
  try {
    const rows = await model.itemTable();
    const end = items.length * settings.d;
    return { rows: rows.slice(0, end), towerRows: fresh.length > 0 ? rows.slice(end) : null };
  } finally {
    model.dispose();
  }
}
