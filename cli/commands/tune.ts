/** `attune tune`: measures the kernels at the shapes of a training step, and keeps what was fastest. */
import type { TuneFlags } from './tune.flags.ts';
import { prepare } from '../../data/dataset.ts';
import { makeShop } from '../../data/demo-shop/shop.ts';
import { splitDataset } from '../../data/splits/split.ts';
import { batches } from '../../data/batching/batches.ts';
import { adapterKey, collectShapes, type Device, tune } from '../../engine/index.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { Feed } from '../../train/loop/feed.ts';
import { fileTuningStore, runtime, tuningFile } from '../../recommend/sources/tuning.node.ts';
import { OpenDeviceError, openDevice, Output } from '../common.ts';
import { createProgress, table } from '../output/ui.ts';

export async function runTune(flags: TuneFlags): Promise<void> {
  const out = new Output(flags.json);
  if (process.env.ATTUNE_TUNE === 'off')
    out.warn('ATTUNE_TUNE=off: measured all the same, but not used while it is set');
  const device = await openDevice('webgpu', out);
  try {
    if (!device.gpu) throw new OpenDeviceError('device: no WebGPU adapter to tune');
    const samples = collectShapes(device, () => step(device));
    const bar = createProgress({ total: samples.length });
    let done = 0;
    const adapter = adapterKey(device.gpu, runtime());
    const { choices, rows } = await tune(device, samples, async ({ kernel, shape }, soFar) => {
      bar.update(++done, { phase: `${kernel} ${shape}` });
      await fileTuningStore.save(adapter, soFar); // class by class, so that stopping loses nothing
    }).finally(() => bar.stop());
    out.line(`tuned on ${device.name}`);
    const cells = rows.map(({ kernel, shape, times, untuned }) => {
      const chosen = choices[kernel][shape];
      const ms = (name: string) => times.find(({ choice }) => choice === name)?.ms.toFixed(3) ?? '';
      return [kernel, shape, chosen, ms(chosen), chosen === untuned ? '' : `${untuned}: ${ms(untuned)}`];
    });
    out.line(table(['kernel', 'shapes, log2', 'chosen', 'ms', 'in place of, ms'], cells));
    out.line(`saved in ${tuningFile(adapter)}`);
    out.object({ device: device.name, adapter, file: tuningFile(adapter), choices, rows });
  } finally {
    device.close();
  }
}

/** One step of the default recipe on the demo shop, for the shapes of its kernels. */
function step(device: Device): void {
  const settings = settingsFor('sasrec', {});
  const split = splitDataset(prepare(makeShop({}).log, { minInteractions: 1 }));
  const model = SequenceModel.create(device, settings, split.items, 1);
  const feed = new Feed(device, settings.budget);
  const { budget, window } = settings;
  const [batch] = batches(split, { maxTokens: budget, window, seed: 1, epoch: 0 });
  feed.stage(batch);
  feed.upload();
  device.scope(() => model.loss(feed.tensors).backward());
}
