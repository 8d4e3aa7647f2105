/**
 * Reverse-mode differentiation. An op records a node: the inputs that require a gradient, the outputs, and a closure
 * that adds to the inputs' gradients. Nodes hang from the tensors that they made, as in PyTorch, so that a forward pass
 * that nobody differentiates is garbage like any other object. `backward` runs the closures of the nodes that its
 * outputs depend on, the newest first, and spends them.
 *
 * A node ends with `backward` or with its scope. Using a tensor of an ended node where a gradient is recorded throws: the
 * gradient would stop there without a word.
 *
 * A backward kernel writes a gradient the first time and adds to it afterwards: `into(x)` gives the tensor and a flag,
 * so that sums of gradients need no kernel of their own. The handle that is asked for decides the gradient's shape.
 */
import type { Device } from './device.ts';
import { fill } from './ops/fill.ts';
import { GraphNode, type GradState, showShape, type Tensor } from './tensor.ts';

const SPENT = 'belongs to a forward pass that an earlier backward() spent';
const ENDED = 'was made in a scope that has ended';

export interface BackwardOptions {
  /** Whether what the outputs depend on may be differentiated again, by another backward(); it is spent by default. */
  retainGraph?: boolean;
}

export class Tape {
  enabled = true;
  private readonly device: Device;
  /** The nodes that each open scope has made. */
  private readonly scopes: GraphNode[][] = [];
  private count = 0;

  constructor(device: Device) {
    this.device = device;
  }

  /** Begins a scope: what is recorded from here on ends with `closeScope`. */
  openScope(): void {
    this.scopes.push([]);
  }

  closeScope(): void {
    for (const node of this.scopes.pop() ?? []) node.finish(ENDED);
  }

  /**
   * Records how to differentiate `outputs` with respect to `inputs`; does nothing where no input requires a gradient.
   * `backward` runs only if some output received a gradient (outputs that received none read as null).
   * @throws Error where an input's own node has ended
   */
  record(inputs: readonly (Tensor | null | undefined)[], outputs: Tensor | Tensor[], backward: () => void): void {
    if (!this.enabled) return;
    const list = Array.isArray(outputs) ? outputs : [outputs];
    const needed: GradState[] = [];
    for (const x of inputs) {
      if (!x?.requiresGrad) continue;
      const { node } = x.state;
      if (node && !node.backward) {
        throw new Error(
          `${list[0].label}: ${x.label} ${showShape(x.shape)} ${node.end}, so its gradient would be lost; compute it again, or take its values alone: detach()`,
        );
      }
      needed.push(x.state);
    }
    if (needed.length === 0) return;
    const states = list.map((t) => t.state);
    const node = new GraphNode(this.count++, needed, states, backward);
    for (const state of states) {
      state.requiresGrad = true;
      state.node = node;
    }
    this.scopes.at(-1)?.push(node);
  }

  /**
   * Propagates d(loss)/d(loss) = 1 back to every leaf that the loss depends on, and spends the nodes in between, unless they
   * are retained for another loss that depends on them.
   */
  backward(loss: Tensor, options: BackwardOptions = {}): void {
    if (loss.size !== 1) throw new Error(`backward: expected a scalar, got ${showShape(loss.shape)}`);
    this.backwardFrom(loss, () => this.device.full(loss.shape, 1, `grad of ${loss.label}`), options);
  }

  /**
   * Propagates given gradients of one output or several (each of its output's size) back to every leaf: a vector-Jacobian
   * product. A gradient of one output may be added to where another of them depends on it.
   */
  backwardFrom(
    output: Tensor | readonly Tensor[],
    gradient: () => Tensor | readonly Tensor[],
    { retainGraph = false }: BackwardOptions = {},
  ): void {
    const outputs: readonly Tensor[] = [output].flat();
    for (const y of outputs) {
      if (!y.requiresGrad) throw new Error(`backward: ${y.label} does not depend on any tensor with requiresGrad`);
      if (!y.state.node) {
        throw new Error(
          `backward: ${y.label} ${showShape(y.shape)} is a leaf, which no op made; call it on what was computed from the leaf`,
        );
      }
    }
    const nodes = this.nodesBehind(outputs);
    const enabled = this.enabled;
    this.enabled = false;
    try {
      const given: readonly Tensor[] = [gradient()].flat();
      for (const [i, y] of outputs.entries()) {
        if (given[i]?.size !== y.size || given[i].dtype !== 'f32') {
          const got = given[i] ? `${given[i].dtype} ${showShape(given[i].shape)}` : 'none';
          throw new Error(`backward: expected a gradient f32 ${showShape(y.shape)} of ${y.label}, got ${got}`);
        }
        y.state.grad = given[i];
      }
      for (const { outputs: made, backward } of nodes)
        if (made.some((s) => s.grad ?? s.inner?.z.state.grad)) backward?.();
    } finally {
      this.enabled = enabled;
      // What is left is the leaves' gradients: those in between are temporaries.
      for (const node of nodes) {
        if (!retainGraph) node.finish(SPENT);
        for (const state of node.outputs) {
          state.grad = null;
          if (retainGraph && state.inner) state.inner.z.state.grad = null;
          if (!retainGraph) state.inner = undefined;
        }
      }
    }
  }

  /** All nodes that the outputs depend on, the newest first. */
  private nodesBehind(outputs: readonly Tensor[]): GraphNode[] {
    const found = new Set<GraphNode>();
    const waiting = outputs.map((y) => y.state.node as GraphNode);
    for (let node = waiting.pop(); node; node = waiting.pop()) {
      if (found.has(node)) continue;
      if (!node.backward) {
        const labels = outputs.map((y) => y.label).join(', ');
        throw new Error(
          `backward: a tensor that ${labels} depends on ${node.end}; add the losses up for one backward(), call the earlier one with { retainGraph: true }, or run the forward pass again`,
        );
      }
      found.add(node);
      for (const state of node.inputs) if (state.node) waiting.push(state.node);
    }
    return [...found].sort((a, b) => b.order - a.order);
  }
}

/**
 * Where the gradient of x goes: a tensor of x's shape, and 1 if the kernel must add to it, 0 if it must overwrite it. What
 * goes to a tensor that requires none is scratch.
 */
export function into(x: Tensor): { grad: Tensor; acc: number } {
  const known = x.grad;
  if (known) return { grad: known, acc: 1 };
  const grad = x.device.empty(x.shape, 'f32', `grad of ${x.label}`);
  if (x.requiresGrad) x.state.grad = grad;
  return { grad, acc: 0 };
}

/** The gradient of x for kernels that can only add: zeroed where it is new. */
export function intoSum(x: Tensor): Tensor {
  const { grad, acc } = into(x);
  if (!acc) fill(grad, 0);
  return grad;
}

/**
 * Where the gradients of several inputs go whose kernels take turns, each over a part at a time: inputs that share one
 * gradient, as handles of one tensor do, have it zeroed and added to. Null for those that require none.
 */
export function intoParts(inputs: readonly Tensor[]): ({ grad: Tensor; acc: number } | null)[] {
  const shared = (x: Tensor): boolean => inputs.filter((y) => y.state === x.state).length > 1;
  return inputs.map((x) => {
    if (!x.requiresGrad) return null;
    return shared(x) ? { grad: intoSum(x), acc: 1 } : into(x);
  });
}

/** The gradient that reached an output, in its shape. Call it only in a backward closure of a single output. */
export function gradOf(y: Tensor): Tensor {
  const { grad } = y;
  if (!grad) throw new Error(`${y.label}: no gradient reached it`);
  return grad;
}
