/** What a model needs of memory, computed from its shapes before anything is allocated. */
import { InputError } from '../../data/errors.ts';
import { type RowOptimizer, sizeOf, type Shape } from '../../engine/index.ts';

/** More than any machine that this is for has: settings that need it are a mistake. */
const MOST_BYTES = 64 * 2 ** 30;

/**
 * Values as they are drawn or read, and on the device; while training also gradients and both moments. A table whose
 * gradient is kept by row has none of its size, and with row-wise Adagrad no moments; what validation reads is as large as
 * what was drawn.
 */
const COPIES = { loaded: 2, trained: 5, adamw: 4, adagrad: 2 } as const;

export interface Needed {
  parameters: readonly {
    name: string;
    shape: Shape;
    options?: { touchedRows?: number; rowOptimizer?: RowOptimizer };
  }[];
  /** Numbers that a training step keeps for its backward pass; 0 where nothing is trained. */
  activations?: number;
}

export function bytesNeeded({ parameters, activations = 0 }: Needed, use: 'loaded' | 'trained'): number {
  const copies = ({
    touchedRows,
    rowOptimizer = 'adamw',
  }: NonNullable<Needed['parameters'][number]['options']>): number =>
    COPIES[use === 'trained' && touchedRows !== undefined ? rowOptimizer : use];
  const numbers = parameters.reduce((sum, { shape, options }) => sum + copies(options ?? {}) * sizeOf(shape), 0);
  return 4 * (numbers + activations);
}

/**
 * Refuses a model that does not fit this machine's memory, or where that is not known, any machine's.
 * @param advice what to change
 * @throws InputError
 */
export function requireMemory(needed: Needed, use: 'loaded' | 'trained', advice: string, limit = memoryLimit()): void {
  const bytes = bytesNeeded(needed, use);
  if (bytes <= limit) return;
  const gib = (n: number): string => `${(n / 2 ** 30).toFixed(1)} GiB`;
  const largest = needed.parameters.reduce((a, b) => (sizeOf(b.shape) > sizeOf(a.shape) ? b : a));
  throw new InputError(
    'too-large',
    `the model needs about ${gib(bytes)} of memory, expected at most ${gib(limit)} (${needed.parameters.length} parameters, the largest ${largest.name} [${largest.shape}]); ${advice}`,
  );
}

/** What a container or service may use, where Node knows it. */
function memoryLimit(): number {
  const { process } = globalThis as { process?: { constrainedMemory?(): number } };
  const constrained = process?.constrainedMemory?.() ?? 0;
  return constrained > 0 ? Math.min(constrained, MOST_BYTES) : MOST_BYTES;
}
