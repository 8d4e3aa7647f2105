/**
 * What all optimizers share: which parameters they update, the learning rate by step, the status word on the device that a
 * loss or gradient which is not finite sets, and the losses of the last steps.
 */
import type { Device } from '../device.ts';
import type { Trained } from '../ops/shared/step.ts';
import { ParameterArena } from '../parameters/arena.ts';
import { threefry2x32 } from '../random/random.ts';
import { STATUS } from '../state.ts';
import { type NumericArray, showShape, Tensor } from '../tensor.ts';

/** Leaves (made with `requiresGrad`), in lists and objects of any depth. */
export type ParameterTree = Tensor | readonly ParameterTree[] | { readonly [name: string]: ParameterTree };

export interface OptimizerOptions {
  /** A number, or the learning rate by step, which counts from 1 (see `schedule`); what `prepare` gets comes first. */
  learningRate?: number | ((step: number) => number);
  /** Largest global norm of the gradient over all parameters: beyond it all are scaled down alike. 0, the default, turns it off. */
  clip?: number;
  /** Of the moving average of an arena's weights; it must have been started (`startAverage`). */
  averageDecay?: number;
  /**
   * What a loss, gradient or learning rate that is not finite does, besides stopping all updates: by default the next read
   * of any tensor of the device throws. With `status` nothing is thrown, and the caller looks at `status`.
   */
  onFailure?: 'throw' | 'status';
}

/** What a step reads from the device's state buffer; see `Device.state`. What is left out stays as it is. */
export interface PreparedStep {
  /** As `device.seed()` was called with. */
  seed?: number;
  /** Numbers the random masks, with the seed; one more than before. The optimizer counts its steps itself. */
  step?: number;
  /** Of the optimizer's options, at its own step. */
  learningRate?: number;
  /** Whether dropout acts: `device.training`. */
  dropout?: boolean;
  /** Which of the step's batches this is, from 0: each has dropout masks of its own. */
  part?: number;
  /** AdamW moves tables alone, and keeps the moments of all; false by default. */
  frozen?: boolean;
}

/** Stream of the seed that keeps the random numbers of a step's later batches apart. */
const PARTS = 0x7ffffffe;
/** Losses kept on the device; read at least this often. */
export const LOSS_RING = 1024;

const CAUSES = ['loss', 'gradient', 'learning rate'];

export abstract class Optimizer {
  /**
   * u32 [16]: word 0 the first step with a non-finite loss or gradient, word 1 the gradient's norm (f32 bits), word 5 the
   * steps taken (`STATUS` names them).
   */
  readonly status: Tensor;
  /** f32 [LOSS_RING]: the loss of step s at s mod LOSS_RING. */
  readonly losses: Tensor;
  protected readonly device: Device;
  protected readonly parameters: Pick<ParameterArena, 'shards'> &
    Partial<Pick<ParameterArena, 'rowTables' | 'frozen' | 'exchangeAverage'>>;
  /** The status with the bias corrections behind it. */
  protected readonly words: Tensor;
  private readonly name: string;
  private readonly learningRate: number | ((step: number) => number);
  /** Steps that were prepared. */
  private prepared = 0;
  /** Moments that this optimizer made. */
  private readonly own: Tensor[] = [];

  /** @param status the status words that it starts with @param moments what it keeps beside each value */
  protected constructor(
    name: string,
    parameters: ParameterArena | ParameterTree,
    { learningRate, onFailure = 'throw' }: OptimizerOptions,
    defaultRate: number,
    status: Uint32Array,
    moments: readonly ('m' | 'v')[],
  ) {
    this.name = name;
    this.learningRate = learningRate ?? defaultRate;
    this.parameters = parameters instanceof ParameterArena ? parameters : this.shardsOf(parameters, moments);
    this.device = parameters instanceof ParameterArena ? parameters.device : this.parameters.shards[0].params.device;
    this.words = this.device.tensor(status, undefined, { label: 'status' }).keep();
    this.status = this.device.view(this.words, 0, [16], 'u32', 'status');
    this.losses = this.device.zeros([LOSS_RING], 'losses').keep();
    if (onFailure === 'throw') this.device.guards.set(this.status, (words) => this.refuseFailure(words));
  }

  /** Each leaf as a shard of its own. */
  private shardsOf(tree: ParameterTree, moments: readonly ('m' | 'v')[]): Pick<Trained, 'shards'> {
    const leaves = leavesOf(this.name, tree);
    const shards = leaves.map((leaf) => {
      const flat = (t: Tensor): Tensor => t.detach().reshape([leaf.size]);
      const zeros = moments.map((kind) => [kind, leaf.device.zeros([leaf.size], `${kind} of ${leaf.label}`).keep()]);
      for (const [, t] of zeros) this.own.push(t as Tensor);
      const grads = flat(leaf.grad as Tensor);
      return { params: flat(leaf), grads, ...Object.fromEntries(zeros), decayEnd: leaf.rank >= 2 ? leaf.size : 0 };
    });
    return { shards };
  }

  private refuseFailure(words: NumericArray): void {
    const step = words[STATUS.FAILED];
    if (step === 0) return;
    const causes = CAUSES.filter((_, i) => words[STATUS.CAUSE] & (1 << i)).join(' and the ');
    throw new Error(
      `${this.name}: the ${causes} of step ${step} is not finite, so that no step has changed the parameters since; lower the learning rate or set clip, find the tensor with device.firstNonFinite(), or dispose() the optimizer to read what is left`,
    );
  }

  /** Goes on after so many steps, as a checkpoint does whose moments the parameters have loaded. */
  continueFrom(steps: number): void {
    this.device.write(this.words, this.statusAfter(steps));
    this.prepared = steps;
  }

  /** The status words after so many steps. */
  protected abstract statusAfter(steps: number): Uint32Array;

  /** Writes what varies from step to step, the learning rate among it; call it on the host before each step runs. */
  prepare({ seed, step, learningRate, dropout, part = 0, frozen = false }: PreparedStep = {}): void {
    if (!part) this.prepared++;
    const { steps } = this.device;
    const own = this.learningRate;
    steps.change({
      seed: part ? threefry2x32(seed ?? steps.seed, PARTS, 0, part)[0] : seed,
      step: step ?? steps.step + 1,
      learningRate: learningRate ?? (typeof own === 'number' ? own : own(this.prepared)),
      training: dropout,
      frozen,
    });
  }

  /**
   * Updates the parameters from their gradients and zeroes these, eagerly or as part of a recorded step: norm, clip, update.
   * @param loss a scalar, checked for being finite and kept in `losses`
   */
  abstract step(loss?: Tensor): void;

  /** Reads how it stands: steps taken, and the gradient's norm (before clipping) and the loss of the last one. */
  async report(): Promise<{ steps: number; gradientNorm: number; loss: number }> {
    const words = (await this.status.data()) as Uint32Array<ArrayBuffer>;
    const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
    return { steps: words[STATUS.STEP], gradientNorm: floats[STATUS.NORM], loss: floats[STATUS.LOSS] };
  }

  /** Frees the status and, of parameters that are no arena's, the moments; the parameters live on. */
  dispose(): void {
    this.device.guards.delete(this.status);
    for (const t of [this.words, this.losses, ...this.own]) t.dispose();
  }
}

/** The leaves of a tree, each once. @throws Error for what is no leaf, and for none */
function leavesOf(who: string, tree: ParameterTree): Tensor[] {
  const found = new Map<object, Tensor>();
  const visit = (node: ParameterTree, path: string): void => {
    if (node instanceof Tensor) {
      if (!node.state.leaf)
        throw new Error(
          `${who}: expected parameters made with requiresGrad, got ${path} ${node.dtype} ${showShape(node.shape)}`,
        );
      found.set(node.state, node);
    } else if (node === null || typeof node !== 'object') {
      throw new Error(`${who}: expected tensors in lists and objects, got ${path} ${String(node)}`);
    } else for (const [name, child] of Object.entries(node)) visit(child, path === '' ? name : `${path}.${name}`);
  };
  visit(tree, '');
  if (found.size === 0) throw new Error(`${who}: expected at least one parameter, got none`);
  return [...found.values()];
}
