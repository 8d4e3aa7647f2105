/** A SASRec that another library has trained, as a model folder. A layout of parameters is a file and a line in the table. */
import { InputError } from '../../data/errors.ts';
import { parametersOf } from '../../model/encoders/network.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import { saveModel } from '../../model/storage/checkpoint.ts';
import { FORMAT_VERSION } from '../../model/storage/config.ts';
import type { Files } from '../../model/storage/files.ts';
import { createFolder } from '../../model/storage/folder.ts';
import type { StoredTensor } from '../../model/storage/safetensors.ts';
import { checkParameters } from '../../model/storage/tensors.ts';
import { LARGER, type Layout, type SourceTensors } from './layout.ts';
import { pmixer } from './pmixer.ts';
import { recbole } from './recbole.ts';

const LAYOUTS: readonly Layout[] = [recbole, pmixer];

export interface ImportedModel {
  settings: Settings;
  tensors: Map<string, StoredTensor>;
  /** the library that trained it */
  library: string;
  notes: readonly string[];
}

/**
 * Finds the library by the names of the parameters, and converts them.
 * @param file for messages
 * @param overrides settings that the file does not say: heads, activation
 * @throws InputError for parameters of no known library, or of other shapes
 */
export function importSasrec(
  stored: ReadonlyMap<string, StoredTensor>,
  file: string,
  overrides: ReadonlyMap<string, string>,
): ImportedModel {
  const layout = LAYOUTS.find(({ mark }) => stored.has(mark));
  if (!layout) {
    const known = LAYOUTS.map(({ name, mark }) => `${name} (${mark})`).join(' or ');
    throw new InputError('unsupported', `${file}: its parameters are of no known SASRec; expected one of ${known}`);
  }
  const chosen = { ...layout.defaults, ...Object.fromEntries(overrides) };
  const { settings: found, tensors } = layout.convert(sourceOf(stored, file), Number(chosen.heads));
  const fixed = { loss: 'softmax', similarity: 'dot', temperature: LARGER, dropout: 0, memory: 'off', ...found };
  const own = Object.entries(fixed).map(([key, value]) => [key, String(value)]);
  const budget = String(Math.max(4096, found.window ?? 0));
  const settings = settingsFor('sasrec', { budget, ...chosen, ...Object.fromEntries(own) });
  const items = (tensors.get('items.weight') as StoredTensor).shape[0];
  checkParameters(tensors, parametersOf(settings, items).declared, file);
  return {
    settings,
    tensors,
    library: layout.name,
    notes: settings.activation === 'gelu' || layout !== recbole ? layout.notes : [],
  };
}

function sourceOf(stored: ReadonlyMap<string, StoredTensor>, file: string): SourceTensors {
  return {
    take(name, ...shape) {
      const tensor = stored.get(name);
      const shown = `[${shape.map((n) => n ?? '?').join(', ')}]`;
      if (!tensor) throw new InputError('invalid-data', `${file}: expected a tensor ${name} ${shown}, there is none`);
      const { data } = tensor;
      const fits = tensor.shape.length === shape.length && shape.every((n, i) => n === null || n === tensor.shape[i]);
      if (!fits || !(data instanceof Float32Array))
        throw new InputError(
          'invalid-data',
          `${file}: ${name}: expected F32 ${shown}, got [${tensor.shape.join(', ')}]`,
        );
      return { ...tensor, data };
    },
    count(prefix) {
      let n = 0;
      while ([...stored.keys()].some((name) => name.startsWith(`${prefix}.${n}.`))) n++;
      return n;
    },
  };
}

export interface ImportOptions {
  /** IDs of the items, in the order of their rows from row 1 on; by default the numbers of the rows */
  ids?: readonly string[];
  /** where the model came from */
  source: string;
  /** version of Attune */
  version: string;
  overwrite?: boolean;
}

/** Writes the folder of a model. @throws InputError where the IDs are not those of its items */
export async function saveImported(
  files: Files,
  { settings, tensors }: ImportedModel,
  { ids, source, version, overwrite }: ImportOptions,
): Promise<void> {
  const items = (tensors.get('items.weight') as StoredTensor).shape[0];
  const names = ids ?? Array.from({ length: items }, (_, row) => `${row + 1}`);
  if (names.length !== items)
    throw new InputError(
      'mismatched-data',
      `${source}: has ${items} items besides the padding, and ${names.length} IDs`,
    );
  const config = {
    formatVersion: FORMAT_VERSION,
    attune: version,
    created: new Date().toISOString(),
    recipe: 'sasrec',
    hyperparameters: { ...settings },
    schema: { columns: {}, attributes: [] },
    data: { source, users: 0, items, interactions: 0, minInteractions: 1, minRating: null },
    protocol: 'leave-one-out',
    seen: 'excluded' as const,
    tokenBudget: settings.budget,
    seed: 0,
    device: '',
    variants: {},
  };
  const catalog = names.map((id) => ({ id, title: id, attributes: {}, count: 0 }));
  await createFolder(files, config, catalog, { overwrite });
  await saveModel(files, tensors, { step: 0, epoch: 0, metrics: null });
}
