/** Continues histories by several items: batches of histories, the decoding strategy, and what is excluded. */
import { InputError, option } from '../../data/errors.ts';
import { maxBagSize, type SideFeatureRows } from '../../data/features/side-rows.ts';
import {
  DECODES,
  GENERATE,
  type DecodingOptions,
  type Path,
  Picker,
  rowsNeeded,
  successorsNeeded,
} from './decoding.ts';
import type { ScorerOptions } from './scored.ts';
import { BLOCKS } from '../encoders/blocks/index.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';
import { Stepper, type StepperSize, type StepRow } from './stepper.ts';
import { Batcher, maxScores, roundUp } from './batcher.ts';

export interface GenerateQuery {
  /** Item rows, oldest first, at least one; of these, the last ones that leave room for the steps are read. */
  history: Uint32Array;
  /** Item rows that are no candidates. */
  exclude?: Uint32Array;
  /** Side features of the events of the history, or of its last ones; for models that read them. */
  features?: SideFeatureRows;
  /** Side features of the generated items, one token: the user, and events of which nothing is known. */
  next?: SideFeatureRows;
}

export interface Generated extends Path {
  /** The likeliest items right after the history, best first. */
  first: Uint32Array;
  /** Of a beam search: all continuations that were followed to the end, best first, this one included. */
  beams: Path[];
}

const MAX_ROWS = 128;

/** @throws InputError for options out of range, or where the model cannot continue a history by so many items */
export function checkGenerate(model: SequenceModel, o: DecodingOptions): void {
  const requireInteger = (name: string, value: number, to: number): void => {
    if (!Number.isInteger(value) || value < 1 || value > to)
      throw new InputError('invalid-value', `expected an integer from 1 to ${to.toLocaleString('en-US')}`, {
        setting: name,
        value,
      });
  };
  const { bias, block, decoder, window, continuation } = model.settings;
  if (!DECODES.includes(o.decode))
    throw new InputError('invalid-value', `expected ${DECODES.slice(0, -1).join(', ')} or ${DECODES.at(-1)}`, {
      setting: 'decode',
      value: o.decode,
    });
  requireInteger('topK', o.topK, 128);
  requireInteger('beams', o.beams, 16);
  requireInteger('named', o.named, 128);
  if (!(o.topP > 0 && o.topP <= 1))
    throw new InputError('invalid-value', 'expected a number above 0 to 1', { setting: 'topP', value: o.topP });
  if (!(o.temperature >= 0.01 && o.temperature <= 100))
    throw new InputError('invalid-value', 'expected a number from 0.01 to 100', {
      setting: 'temperature',
      value: o.temperature,
    });
  const cannot = model.cloze
    ? 'it fills in masks and predicts no order (direction=bidirectional)'
    : bias !== 'none' || BLOCKS[block].attention !== 'softmax'
      ? `its attention keeps no keys and values (block=${block}, bias=${bias})`
      : null;
  if (cannot)
    throw new InputError('unsupported', `this model cannot continue a history: ${cannot}`, {
      hint: `train one with ${option('recipe', 'sasrec')} or encoder-decoder`,
    });
  if (Number.isInteger(o.steps) && o.steps > 0 && Stepper.longest(model, o.steps) === 0) {
    throw new InputError(
      'too-large',
      decoder > 0
        ? `this model was trained to continue by at most ${continuation} items`
        : `this model reads windows of ${window} events`,
      {
        setting: 'steps',
        value: o.steps,
        hint:
          decoder > 0
            ? `take fewer, or train with ${option('settings.continuation', o.steps)}`
            : 'take at most as many steps',
      },
    );
  }
  requireInteger('steps', o.steps, 65536);
}

export class Generator {
  private readonly model: SequenceModel;
  private readonly options: DecodingOptions;
  private readonly blend: ScorerOptions['blend'];
  private readonly batcher: Batcher<GenerateQuery, StepperSize, Stepper>;

  /**
   * @param blend the item transitions that join each step's scores, if any; they look up the history's last items and
   *   those added
   * @throws InputError, see `checkGenerate`
   */
  constructor(
    model: SequenceModel,
    options: Partial<DecodingOptions> & { steps: number },
    blend: ScorerOptions['blend'] = null,
  ) {
    this.model = model;
    this.blend = blend;
    this.options = { ...GENERATE, ...options };
    checkGenerate(model, this.options);
    this.batcher = new Batcher({
      lengthOf: ({ history }) => {
        if (history.length === 0) throw new Error('generator: expected a history of at least one item');
        return this.readBy(history).length;
      },
      maxQueries: Math.floor(this.maxRows() / rowsNeeded(this.options)),
      sizeOf: (queries, tokens) => this.sizeOf(queries, tokens),
      create: (size) => new Stepper(model, size, blend),
    });
  }

  /** Continues each query; the answers are in the queries' order, and none depends on the others. */
  async generate(queries: readonly GenerateQuery[], onProgress?: (done: number) => void): Promise<Generated[]> {
    await this.model.refresh();
    const answers: Generated[] = [];
    for (const { batch, queries: group, from } of this.batcher.groups(queries)) {
      for (const answer of await this.run(batch, group, from)) answers.push(answer);
      onProgress?.(answers.length);
    }
    return answers;
  }

  /** The last items of a history, as many as leave room for the steps. */
  private readBy(history: Uint32Array): Uint32Array {
    return history.subarray(Math.max(0, history.length - Stepper.longest(this.model, this.options.steps)));
  }

  /** @param from number of the first query among those of the call */
  private async run(stepper: Stepper, queries: readonly GenerateQuery[], from: number): Promise<Generated[]> {
    const { steps, temperature, repeats } = this.options;
    const barred = queries.map(({ exclude }) => new Set(exclude));
    const states = queries.map((_, i) => ({
      picker: new Picker(this.options, from + i),
      paths: [{ items: [], logs: [], total: 0 }] as Path[],
      /** Cached rows of each path. */
      slots: [[]] as number[][],
      first: new Uint32Array(0) as Uint32Array,
    }));
    stepper.read(queries.map(({ history, features }) => ({ items: this.readBy(history), features })));
    for (let step = 0; step < steps; step++) {
      const rows: StepRow[] = [];
      states.forEach(({ paths, slots }, i) => {
        const { history, features, next } = queries[i];
        const featureRows = step === 0 ? features : next;
        const last = featureRows && { rows: featureRows, token: featureRows.starts.length - 2 };
        paths.forEach(({ items }, p) => {
          const exclude = Uint32Array.from(repeats ? barred[i] : new Set([...barred[i], ...items]));
          const recent = this.blend ? Uint32Array.from([...history, ...items]) : history;
          const item = items.at(-1) ?? history[history.length - 1];
          rows.push({ item, history: i, before: slots[p], exclude, recent, features: last });
        });
      });
      const all = await stepper.step(step, rows, temperature);
      let row = 0;
      states.forEach((state) => {
        const first = row;
        row += state.paths.length;
        // Where no candidate is left, the probabilities mean nothing.
        const successors = all.slice(first, row).map((found, p) => {
          const left = this.model.items - rows[first + p].exclude.length;
          return { items: found.items.subarray(0, Math.max(0, left)), logs: found.logs.subarray(0, Math.max(0, left)) };
        });
        if (step === 0) state.first = successors[0].items;
        const grown = state.picker.grow(state.paths, successors);
        state.slots = grown.map(({ parent }) => [...state.slots[parent], stepper.slotOf(step, first + parent)]);
        state.paths = grown.map(({ path }) => path);
      });
    }
    return states.map(({ paths, first }) => ({ ...paths[0], first, beams: paths }));
  }

  /** Rows of a step at most: as many as their scores have room for; those of one history at least. */
  private maxRows(): number {
    const { device, items } = this.model;
    return Math.max(rowsNeeded(this.options), Math.min(MAX_ROWS, Math.floor(maxScores(device) / items)));
  }

  private sizeOf(queries: readonly GenerateQuery[], maxTokens: number): StepperSize {
    const { steps, named, repeats } = this.options;
    const width = rowsNeeded(this.options);
    let [excluded, entries] = [0, 0];
    for (const { exclude, features, next } of queries) {
      excluded += width * ((exclude?.length ?? 0) + (repeats ? 0 : steps));
      entries = Math.max(entries, maxBagSize(features), maxBagSize(next));
    }
    return {
      maxTokens,
      rows: Math.min(this.maxRows(), roundUp(queries.length * width)),
      steps,
      excluded: roundUp(excluded, 256),
      k: Math.min(this.model.items, Math.max(named, successorsNeeded(this.options))),
      entries: entries > 0 ? roundUp(entries) : 0,
    };
  }

  dispose(): void {
    this.batcher.dispose();
  }
}
