/** Continues histories by several items: batches of histories, the strategy, and what must not come again. */
import { InputError } from '../../data/errors.ts';
import { maxBagSize, type SideFeatureRows } from '../../data/features/side-features.ts';
import {
  DECODES,
  GENERATE,
  type GenerateOptions,
  type Path,
  Picker,
  rowsNeeded,
  successorsNeeded,
} from './decoding.ts';
import type { ScorerOptions } from './scorer.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';
import { type ReadHistory, Stepper, type StepRow } from './stepper.ts';

export interface GenerateQuery {
  /** Item rows, oldest first, at least one; as many of the last are read as leave room for the steps. */
  history: Uint32Array;
  /** Item rows that are no candidates. */
  exclude?: Uint32Array;
  /** For models that read users or events: what stands beside each event of the history, or of its last ones. */
  side?: SideFeatureRows;
  /** And beside the items that are added, one token: the user, and events of which nothing is known. */
  next?: SideFeatureRows;
}

export interface Generated extends Path {
  /** The likeliest items right after the history, best first. */
  first: Uint32Array;
  /** Of a beam search: all that were followed to the end, best first, this one included. */
  beams: Path[];
}

const MAX_BUDGET = 8192;
const MAX_ROWS = 128;
/** Elements of the scores of a step, 64 MiB. */
const MAX_SCORES = 16 * 2 ** 20;

/** @throws InputError for options out of range, or where the model cannot continue a history by so many items */
export function checkGenerate(model: SequenceModel, o: GenerateOptions): void {
  const whole = (name: string, value: number, to: number): void => {
    if (!Number.isInteger(value) || value < 1 || value > to)
      throw new InputError(
        'invalid-value',
        `${name}=${value}: a whole number from 1 to ${to.toLocaleString('en-US')} was expected`,
      );
  };
  const { bias, block, decoder, window, continuation } = model.settings;
  if (!DECODES.includes(o.decode))
    throw new InputError(
      'invalid-value',
      `decode=${o.decode}: ${DECODES.slice(0, -1).join(', ')} or ${DECODES.at(-1)} was expected`,
    );
  whole('topK', o.topK, 128);
  whole('beams', o.beams, 16);
  whole('named', o.named, 128);
  if (!(o.topP > 0 && o.topP <= 1)) throw new InputError('invalid-value', `topP=${o.topP}: above 0 to 1 was expected`);
  if (!(o.temperature >= 0.01 && o.temperature <= 100))
    throw new InputError('invalid-value', `temperature=${o.temperature}: a number from 0.01 to 100 was expected`);
  const cannot = model.cloze
    ? 'it fills in masks and predicts no order (direction=bidirectional)'
    : bias !== 'none' || block === 'hstu'
      ? `its attention keeps no keys and values (block=${block}, bias=${bias})`
      : null;
  if (cannot)
    throw new InputError('unsupported', `this model cannot continue a history: ${cannot}`, {
      hint: 'train one with --recipe sasrec or encoder-decoder',
    });
  if (Number.isInteger(o.steps) && o.steps > 0 && Stepper.longest(model, o.steps) === 0) {
    throw new InputError(
      'too-large',
      decoder > 0
        ? `steps=${o.steps}: this model was trained to continue by at most ${continuation} items; take fewer, or train with --set continuation=${o.steps}`
        : `steps=${o.steps}: this model reads windows of ${window} events; take at most as many steps`,
    );
  }
  whole('steps', o.steps, 65536);
}

export class Generator {
  private readonly model: SequenceModel;
  private readonly options: GenerateOptions;
  private readonly blend: ScorerOptions['blend'];
  private readonly steppers = new Map<string, Stepper>();

  /**
   * @param blend the memory that joins each step's scores, if any; it looks up the history's last items and those added
   * @throws InputError, see `checkGenerate`
   */
  constructor(
    model: SequenceModel,
    options: Partial<GenerateOptions> & { steps: number },
    blend: ScorerOptions['blend'] = null,
  ) {
    this.model = model;
    this.blend = blend;
    this.options = { ...GENERATE, ...options };
    checkGenerate(model, this.options);
  }

  /** Continues each query; the answers stand in the queries' order, and none depends on the others. */
  async generate(queries: readonly GenerateQuery[], onProgress?: (done: number) => void): Promise<Generated[]> {
    await this.model.refresh();
    const answers: Generated[] = [];
    const { steps, repeats } = this.options;
    const most = Stepper.longest(this.model, steps);
    const width = rowsNeeded(this.options);
    const together = Math.floor(this.mostRows() / width);
    const room = Math.max(MAX_BUDGET, powerOfTwo(most));
    for (let from = 0; from < queries.length; ) {
      const histories: ReadHistory[] = [];
      let [tokens, excluded, beside] = [0, 0, 0];
      for (const { history, exclude, side, next } of queries.slice(from, from + together)) {
        if (history.length === 0) throw new Error('generator: a history of at least one item was expected');
        const read = history.subarray(Math.max(0, history.length - most));
        if (tokens + read.length > room) break;
        histories.push({ items: read, side });
        beside = Math.max(beside, maxBagSize(side), maxBagSize(next));
        tokens += read.length;
        excluded += width * ((exclude?.length ?? 0) + (repeats ? 0 : steps));
      }
      const stepper = this.stepper(tokens, histories.length * width, excluded, beside);
      const chunk = queries.slice(from, from + histories.length);
      for (const answer of await this.run(stepper, chunk, histories, from)) answers.push(answer);
      from += histories.length;
      onProgress?.(from);
    }
    return answers;
  }

  private async run(
    stepper: Stepper,
    queries: readonly GenerateQuery[],
    histories: readonly ReadHistory[],
    from: number,
  ): Promise<Generated[]> {
    const { steps, temperature, repeats } = this.options;
    const barred = queries.map(({ exclude }) => new Set(exclude));
    const states = queries.map((_, i) => ({
      picker: new Picker(this.options, from + i),
      paths: [{ items: [], logs: [], total: 0 }] as Path[],
      /** Cached rows of each path. */
      slots: [[]] as number[][],
      first: new Uint32Array(0) as Uint32Array,
    }));
    stepper.read(histories);
    for (let step = 0; step < steps; step++) {
      const rows: StepRow[] = [];
      states.forEach(({ paths, slots }, i) => {
        const { history, side, next } = queries[i];
        const rowsOf = step === 0 ? side : next;
        const beside = rowsOf && { rows: rowsOf, token: rowsOf.starts.length - 2 };
        paths.forEach(({ items }, p) => {
          const exclude = Uint32Array.from(repeats ? barred[i] : new Set([...barred[i], ...items]));
          const recent = this.blend ? Uint32Array.from([...history, ...items]) : history;
          const item = items.at(-1) ?? history[history.length - 1];
          rows.push({ item, history: i, before: slots[p], exclude, recent, side: beside });
        });
      });
      const all = await stepper.step(step, rows, temperature);
      let row = 0;
      states.forEach((state) => {
        const begin = row;
        row += state.paths.length;
        // Where nothing is left to recommend, probabilities say nothing.
        const successors = all.slice(begin, row).map((found, p) => {
          const left = this.model.items - rows[begin + p].exclude.length;
          return { items: found.items.subarray(0, Math.max(0, left)), logs: found.logs.subarray(0, Math.max(0, left)) };
        });
        if (step === 0) state.first = successors[0].items;
        const grown = state.picker.grow(state.paths, successors);
        state.slots = grown.map(({ parent }) => [...state.slots[parent], stepper.slotOf(step, begin + parent)]);
        state.paths = grown.map(({ path }) => path);
      });
    }
    return states.map(({ paths, first }) => ({ ...paths[0], first, beams: paths }));
  }

  /** Rows of a step at most: as many as their scores have room; those of one history at least. */
  private mostRows(): number {
    const { device, items } = this.model;
    const room = Math.min(MAX_SCORES, Math.floor(device.maxBindingBytes / 4));
    return Math.max(rowsNeeded(this.options), Math.min(MAX_ROWS, Math.floor(room / items)));
  }

  /** The smallest of a few sizes that suffices: programs are recorded for a size. */
  private stepper(tokens: number, rows: number, excluded: number, beside: number): Stepper {
    const { steps, named } = this.options;
    const k = Math.min(this.model.items, Math.max(named, successorsNeeded(this.options)));
    const size = {
      budget: powerOfTwo(Math.max(64, tokens)),
      rows: Math.min(this.mostRows(), powerOfTwo(rows)),
      steps,
      k,
      excluded: powerOfTwo(Math.max(256, excluded)),
      beside: beside > 0 ? powerOfTwo(beside) : 0,
    };
    const key = JSON.stringify(size);
    let stepper = this.steppers.get(key);
    if (!stepper) {
      stepper = new Stepper(this.model, size, this.blend);
      this.steppers.set(key, stepper);
    }
    return stepper;
  }

  dispose(): void {
    for (const stepper of this.steppers.values()) stepper.dispose();
    this.steppers.clear();
  }
}

const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(n));
