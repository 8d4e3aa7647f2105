/** A table of codes at rest (engine/packed.ts): a drop-in for a stored table [V, D] of f32, widened only where it is asked for. */
import { CODES, type ItemCodes, widenCodes } from '../../engine/index.ts';

/** As `StoredTensor`. */
interface Stored {
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint32Array;
}

export class CodedTensor implements Stored {
  readonly shape: readonly number[];
  readonly codes: ItemCodes;
  /** [256 M, D / M] */
  readonly parts: Stored;

  constructor(codes: ItemCodes, parts: Stored) {
    this.codes = codes;
    this.parts = parts;
    this.shape = [codes.codes.length / codes.each, codes.each * parts.shape[1]];
  }

  /** All of it in f32; made anew each time. */
  get data(): Float32Array {
    return widenCodes(this.codes, this.parts.data as Float32Array);
  }

  /** Row v in f32. */
  row(v: number): Float32Array {
    return widenCodes(this.codes, this.parts.data as Float32Array, v, v + 1);
  }

  /** The table with more rows [.., D] behind its own, each as near as codes come to it. */
  withRows(rows: Float32Array): CodedTensor {
    const { codes, each } = this.codes;
    const parts = this.parts.data as Float32Array;
    const [, width] = this.parts.shape;
    const added = new Uint8Array(rows.length / width);
    for (let i = 0; i < added.length; i++) {
      let nearest = Number.POSITIVE_INFINITY;
      for (let code = 0; code < CODES; code++) {
        let far = 0;
        for (let c = 0; c < width; c++)
          far += (rows[i * width + c] - parts[(CODES * (i % each) + code) * width + c]) ** 2;
        if (far < nearest) [nearest, added[i]] = [far, code];
      }
    }
    const all = new Uint8Array(codes.length + added.length);
    all.set(codes);
    all.set(added, codes.length);
    return new CodedTensor({ codes: all, each }, this.parts);
  }
}

/** What is trained of a stored tensor: of a table of codes its parts. */
export const trainedOf = <T extends Stored>(tensor: T | CodedTensor): T | Stored =>
  tensor instanceof CodedTensor ? tensor.parts : tensor;
