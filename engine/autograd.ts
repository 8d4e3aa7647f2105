/**
 * Reverse-mode differentiation on a tape. An op pushes a closure that adds to its inputs' gradients;
 * `backward` runs the closures from the last to the first.
 *
 * Gradients are written by «accumulate or overwrite»: `into(x)` gives the gradient tensor and a flag that every
 * backward kernel takes, so that sums of gradients need no kernel of their own.
 */
import type { Device } from './device.ts';
import { showShape, type Tensor } from './tensor.ts';

interface Entry {
  outputs: Tensor[];
  backward: () => void;
}

export class Tape {
  private entries: Entry[] = [];
  private spent = false;
  enabled = true;
  private readonly device: Device;

  constructor(device: Device) {
    this.device = device;
  }

  get length(): number {
    return this.entries.length;
  }

  /** Forgets what was recorded after the first `length` entries (the end of a scope). */
  truncate(length: number): void {
    if (this.entries.length > length) this.entries.length = length;
  }

  /**
   * Notes how to differentiate `outputs` with respect to `inputs`; nothing happens where no input needs it.
   * `backward` runs only if some output received a gradient (outputs that received none read as null).
   */
  record(inputs: readonly (Tensor | null | undefined)[], outputs: Tensor | Tensor[], backward: () => void): void {
    if (!this.enabled || !inputs.some((t) => t?.requiresGrad)) return;
    const list = Array.isArray(outputs) ? outputs : [outputs];
    for (const t of list) t.state.requiresGrad = true;
    this.entries.push({ outputs: list, backward });
    this.spent = false;
  }

  /** Propagates d(loss)/d(loss) = 1 back to every leaf. The tape is spent afterwards. */
  backward(loss: Tensor): void {
    if (loss.size !== 1) throw new Error(`backward: a scalar was expected, came ${showShape(loss.shape)}`);
    this.backwardFrom(loss, () => this.device.full(loss.shape, 1, `grad of ${loss.label}`));
  }

  /** Propagates a given gradient of `output` (of its shape) back to every leaf: a vector–Jacobian product. */
  backwardFrom(output: Tensor, gradient: () => Tensor): void {
    if (this.entries.length === 0) {
      throw new Error(
        this.spent
          ? 'backward: the tape was spent by an earlier backward(); run the forward pass again'
          : 'backward: nothing was recorded; no input requires a gradient',
      );
    }
    if (!output.requiresGrad)
      throw new Error(`backward: ${output.label} does not depend on any tensor with requiresGrad`);
    const entries = this.entries;
    this.entries = [];
    this.spent = true;
    const enabled = this.enabled;
    this.enabled = false;
    try {
      output.state.grad = gradient();
      for (let i = entries.length - 1; i >= 0; i--) {
        if (entries[i].outputs.some((t) => t.state.grad ?? t.state.inner?.grad)) entries[i].backward();
      }
    } finally {
      this.enabled = enabled;
    }
  }
}

/** Where the gradient of x goes: the tensor, and 1 if the kernel must add to it, 0 if it must overwrite it. */
export function into(x: Tensor): { grad: Tensor; acc: number } {
  if (x.state.grad) return { grad: x.state.grad, acc: 1 };
  const grad = x.device.empty(x.shape, 'f32', `grad of ${x.label}`);
  x.state.grad = grad;
  return { grad, acc: 0 };
}

/** The gradient that reached an output, in its shape. Call it only in a backward closure of a single output. */
export function gradOf(y: Tensor): Tensor {
  if (!y.state.grad) throw new Error(`${y.label}: no gradient reached it`);
  return y.state.grad;
}
