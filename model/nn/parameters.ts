/**
 * Parameters as modules declare them. Constructing a module declares its parameters and allocates nothing, so that names,
 * shapes and memory are known before a device is asked for anything; `allocate` then gives every parameter its tensor.
 */
import { InputError } from '../../data/errors.ts';
import {
  type Device,
  normal,
  ParameterArena,
  type RowOptimizer,
  type ParameterSpec,
  SHARD_ROWS,
  type Shape,
  sizeOf,
  type Table,
  type Tensor,
} from '../../engine/index.ts';
import { requireMemory } from './memory-needed.ts';

/** What a parameter starts as: a constant, given values, or normal numbers of this standard deviation (0 draws none). */
export type Init = number | Float32Array | { std: number };

export interface ParameterOptions {
  init: Init;
  /** Whether weight decay applies; an embedding has a decay of its own instead. */
  decay?: boolean;
  embedding?: boolean;
  /** Read by rows alone, so that it may lie in shards (engine/table.ts). */
  sharded?: boolean;
  /** How many rows a training step reads at most, where its gradient is kept for those alone (RowTable). */
  touchedRows?: number;
  /** What such a table is trained by. */
  rowOptimizer?: RowOptimizer;
}

/** A declared parameter; its values exist once the builder has allocated. */
export class Parameter {
  readonly name: string;
  readonly shape: Shape;
  readonly options: ParameterOptions;
  /** The settings to lower where it is too large. */
  readonly sizedBy: string;
  private arena: ParameterArena | null = null;

  constructor(name: string, shape: Shape, options: ParameterOptions, sizedBy: string) {
    this.name = name;
    this.shape = shape;
    this.options = options;
    this.sizedBy = sizedBy;
  }

  bind(arena: ParameterArena): void {
    this.arena = arena;
  }

  get tensor(): Tensor {
    return this.bound.get(this.name);
  }

  /** A table, whole or in shards. */
  get table(): Table {
    return this.bound.table(this.name);
  }

  private get bound(): ParameterArena {
    if (!this.arena) throw new Error(`${this.name}: declared, but not allocated`);
    return this.arena;
  }
}

export interface InitialStd {
  linear: (inputs: number) => number;
  embedding: number;
}

/** As in BERT and GPT-2. */
const STD: InitialStd = { linear: () => 0.02, embedding: 0.02 };

/**
 * Collects the parameters of a model in the order in which its modules are constructed. Normal numbers are drawn from
 * consecutive streams of the seed in that order: changing it changes every seed's weights.
 */
export class ParameterBuilder {
  readonly declared: Parameter[];
  readonly std: InitialStd;
  private readonly prefix: string;
  private readonly sizedBy: string;

  constructor(std: InitialStd = STD, declared: Parameter[] = [], prefix = '', sizedBy = 'd') {
    this.std = std;
    this.declared = declared;
    this.prefix = prefix;
    this.sizedBy = sizedBy;
  }

  /** The same builder for names that start with `name.`. @param sizedBy settings that these parameters' size follows from */
  at(name: string, sizedBy = this.sizedBy): ParameterBuilder {
    return new ParameterBuilder(this.std, this.declared, `${this.prefix}${name}.`, sizedBy);
  }

  add(name: string, shape: Shape, options: ParameterOptions): Parameter {
    const parameter = new Parameter(`${this.prefix}${name}`, shape, options, this.sizedBy);
    this.declared.push(parameter);
    return parameter;
  }

  /** Numbers that are learned. */
  get count(): number {
    return this.declared.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  }

  /**
   * The parameters with their initial values.
   * @param seed draws them; null leaves them 0, for weights that are loaded
   * @param stream the first stream of the seed
   */
  specs(seed: number | null, stream = 0): ParameterSpec[] {
    let next = stream;
    const values = (n: number, init: Init): Float32Array => {
      if (init instanceof Float32Array) return init;
      if (typeof init === 'number') return new Float32Array(n).fill(init);
      return seed === null || init.std === 0 ? new Float32Array(n) : normal(n, seed, next++, init.std);
    };
    return this.declared.map(
      ({
        name,
        shape,
        options: { init, decay = false, embedding = false, sharded = false, touchedRows, rowOptimizer },
      }) => ({
        name,
        shape,
        decay,
        embedding,
        table: sharded,
        touchedRows,
        rowOptimizer,
        init: values(sizeOf(shape), init),
      }),
    );
  }

  /**
   * Allocates all parameters on the device and binds the modules to them. Refuses what does not fit before anything is
   * drawn: a parameter is one binding, and so are 64 rows of a sharded table.
   * @param seed null: for weights that are loaded; they have no gradients
   * @param activations numbers that a training step keeps for its backward pass
   * @throws InputError
   */
  allocate(
    device: Device,
    seed: number | null,
    { advice, activations = 0, stream = 0 }: { advice: string; activations?: number; stream?: number },
  ): ParameterArena {
    const frozen = seed === null;
    requireMemory(
      { parameters: this.declared, activations: frozen ? 0 : activations },
      frozen ? 'loaded' : 'trained',
      advice,
    );
    for (const parameter of this.declared) requireBinding(device, parameter);
    try {
      const arena = new ParameterArena(device, this.specs(seed, stream), { frozen });
      for (const parameter of this.declared) parameter.bind(arena);
      return arena;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error; // what an array too large for this machine throws
      const gib = ((this.count * 4) / 2 ** 30).toFixed(1);
      throw new InputError(
        'too-large',
        `the model's parameters need ${gib} GiB four times over, more than this machine gives (${error.message})`,
        { hint: advice },
      );
    }
  }
}

/** @throws InputError */
function requireBinding(device: Device, { name, shape, options, sizedBy }: Parameter): void {
  const limit = device.maxBindingBytes;
  const [rows, columns = 1] = options.sharded ? [Math.min(shape[0], SHARD_ROWS), ...shape.slice(1)] : shape;
  const bytes = rows * columns * 4;
  if (bytes <= limit) return;
  const mib = (n: number): string => `${(n / 2 ** 20).toFixed(1)} MiB`;
  const what = options.sharded ? `${SHARD_ROWS} rows of ${name}` : name;
  throw new InputError(
    'too-large',
    `${what} [${rows},${columns}] needs ${mib(bytes)}, this adapter binds at most ${mib(limit)}`,
    { hint: `choose a smaller ${sizedBy}` },
  );
}
