import type { Settings } from '../../model/recipes/settings.ts';
import type { StoredTensor } from '../../model/storage/safetensors.ts';

/**
 * Layer normalization divides by √(variance + ε), and their ε is smaller than the kernels' 1e-5. Embeddings are read this
 * many times larger, which makes ε as small beside them, and scores are divided by it.
 */
export const LARGER = 1000;

/** A SASRec of another library, by the names of its parameters. */
export interface Layout {
  name: string;
  /** a parameter that only it has */
  mark: string;
  /** What scores depend on and the file does not hold, by default. */
  defaults: Readonly<Record<string, string>>;
  /** Parameters of the recipe `sasrec` (model/encoders/network.ts). @param heads attention heads */
  convert(source: SourceTensors, heads: number): { settings: Partial<Settings>; tensors: Map<string, StoredTensor> };
  /** What differs from the model that was trained, for users. */
  notes: readonly string[];
}

/** The tensors of a file; a missing one, or one of another shape, is an error that names it. */
export interface SourceTensors {
  /** @param shape null for a size that may be any */
  take(name: string, ...shape: (number | null)[]): StoredTensor & { data: Float32Array };
  /** How many of `prefix.0`, `prefix.1`, … there are. */
  count(prefix: string): number;
}

const vector = (data: Float32Array): StoredTensor => ({ shape: [data.length], data });

/** A linear layer's weight [out, in] of PyTorch as [in, out]. */
export function linearWeight({ shape, data }: StoredTensor): StoredTensor & { data: Float32Array } {
  const [out, inner] = shape;
  const to = new Float32Array(data.length);
  for (let o = 0; o < out; o++) for (let i = 0; i < inner; i++) to[i * out + o] = data[o * inner + i];
  return { shape: [inner, out], data: to };
}

/** Matrices [in, out] side by side. */
export function beside(...parts: StoredTensor[]): StoredTensor {
  const rows = parts[0].shape[0];
  const width = parts.reduce((sum, { shape }) => sum + shape[1], 0);
  const data = new Float32Array(rows * width);
  let at = 0;
  for (const { shape, data: own } of parts) {
    for (let r = 0; r < rows; r++) data.set(own.subarray(r * shape[1], (r + 1) * shape[1]), r * width + at);
    at += shape[1];
  }
  return { shape: [rows, width], data };
}

/** Vectors end to end. */
export function endToEnd(...parts: Float32Array[]): StoredTensor {
  const data = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return vector(data);
}

/** Rows from the second on (the first is padding), times a factor. */
export function withoutPadding({ shape: [rows, d], data }: StoredTensor, factor: number): StoredTensor {
  return { shape: [rows - 1, d], data: (data as Float32Array).slice(d).map((x) => x * factor) };
}
