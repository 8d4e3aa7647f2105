/** A sparse matrix S [tokens, rows] for each batch: the side features of its tokens. */
import type { SideFeatureRows } from '../../data/features/side-rows.ts';
import { type Device, Inputs, type Sparse, transposeSparse } from '../../engine/index.ts';

const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
const f32 = (n: number) => ({ shape: [n], dtype: 'f32' as const });

const spec = (rows: number, entries: number) => ({
  starts: u32(rows + 1),
  columns: u32(entries),
  values: f32(entries),
});

export class SparseInputs {
  readonly sparse: Sparse;
  private readonly rows: number;
  private readonly forward: Inputs<ReturnType<typeof spec>>;
  private readonly backward: Inputs<ReturnType<typeof spec>> | null;

  /**
   * @param most entries that a token has at most
   * @param training whether there is a gradient, which needs the transpose
   */
  constructor(device: Device, tokens: number, rows: number, most: number, training: boolean) {
    const entries = Math.max(1, tokens * most);
    this.rows = rows;
    this.forward = new Inputs(device, spec(tokens, entries), 'side features');
    this.backward = training ? new Inputs(device, spec(rows, entries), 'side features, transposed') : null;
    this.sparse = {
      shape: [tokens, rows],
      forward: this.forward.tensors,
      ...(this.backward && { transposed: this.backward.tensors }),
    };
  }

  /** Fills the host's mirror; tokens beyond those given have none. */
  stage(given: SideFeatureRows): void {
    fill(this.forward.host, given);
    if (this.backward) fill(this.backward.host, transposeSparse(given, this.rows));
  }

  upload(): void {
    this.forward.upload();
    this.backward?.upload();
  }

  dispose(): void {
    this.forward.dispose();
    this.backward?.dispose();
  }
}

function fill(host: { starts: Uint32Array; columns: Uint32Array; values: Float32Array }, given: SideFeatureRows): void {
  host.starts.fill(given.columns.length);
  host.starts.set(given.starts);
  host.columns.set(given.columns);
  host.values.set(given.values);
}
