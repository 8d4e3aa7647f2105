/** Which device answers single queries fastest, where the adapter is software. */
import { InputError } from '../data/errors.ts';
import { Device } from '../engine/index.ts';
import { roundUp } from '../model/inference/batcher.ts';
import { RankingModel } from '../model/inference/ranking-model.ts';
import type { LoadedModel } from '../model/storage/load-model.ts';
import { deviceFor, type LoadOptions } from './load-options.ts';

/** Milliseconds within which a list is left to WebAssembly without a look at the adapter, whose shaders take seconds to compile. */
const QUICK_MS = 10;
const RUNS = 5;
/** Events of the history that is timed, at most. */
const EVENTS = 64;

/**
 * The device for lists of a model: the one that was asked for; with `auto` a GPU where there is one. An adapter that
 * computes on the CPU answers many queries at once well and a single one slowly, so that one list
 * is timed in WebAssembly and, unless that is quick, on the adapter. What WebAssembly has no room for is left to the adapter.
 * @throws InputError, one line, where the list shows that the weights are damaged
 */
export async function chooseDevice(loaded: LoadedModel, options: LoadOptions): Promise<Device> {
  const device = await deviceFor(options);
  if (options.device || (options.backend ?? 'auto') !== 'auto' || !device.gpu?.software) return device;
  const host = await Device.open({ backend: 'wasm' }).catch(() => null); // a page's policy may forbid it
  if (!host) return device;
  const ms = await timeList(host, loaded).catch((error) => {
    if (!(error instanceof InputError)) return Number.POSITIVE_INFINITY;
    for (const opened of [host, device]) opened.close();
    throw error;
  });
  const quick = ms < QUICK_MS || (ms < Number.POSITIVE_INFINITY && ms < (await timeList(device, loaded)));
  (quick ? device : host).close();
  return quick ? host : device;
}

/** Milliseconds of one list, compiled and warm: the best of several, since others may share the cores. */
async function timeList(device: Device, loaded: LoadedModel): Promise<number> {
  const model = await RankingModel.load(device, loaded);
  const { items } = loaded;
  const scorer = model.scorer({ k: Math.min(roundUp(10, 32), items.length) });
  const { settings, side } = model.encoder;
  const length = Math.min(settings.window, EVENTS);
  const history = Uint32Array.from({ length }, (_, i) => i % items.length);
  const nothing = { starts: new Uint32Array(length + 2), columns: new Uint32Array(0), values: new Float32Array(0) };
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run++) {
    const started = performance.now();
    await scorer.score([{ history, features: side > 0 ? nothing : undefined }]);
    best = Math.min(best, performance.now() - started);
  }
  scorer.dispose();
  model.dispose();
  return best;
}
