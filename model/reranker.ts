/** The ranker's logits for short lists of candidates after whole histories: packed in budgets, one recorded program each. */
import { crossBounds, type Device, Inputs, type Program, type Tensor } from '../engine/index.ts';
import type { Ranker } from './ranker.ts';
import { readsTimes } from './recipes.ts';
import type { SequenceModel } from './sequence-model.ts';

export interface CandidateQuery {
  /** Item rows, oldest first, at least one; the last `window` of them are read. */
  history: Uint32Array;
  times?: Uint32Array;
  /** Item rows, at most `candidates` of them. */
  candidates: Uint32Array;
}

/** Tokens of the largest batch, unless one history is longer. */
const MAX_BUDGET = 8192;
/** Candidates of the largest batch. */
const MAX_CANDIDATES = 8192;

const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(n));

/** Tokens that the batches of a model may hold at least, so that the longest history fits. */
const mostTokens = ({ settings }: SequenceModel): number => Math.max(MAX_BUDGET, powerOfTwo(settings.window));

export class Reranker {
  private readonly model: SequenceModel;
  private readonly ranker: Ranker;
  /** Longest list of candidates. */
  private readonly most: number;
  private readonly batches = new Map<number, Batch>();

  constructor(model: SequenceModel, ranker: Ranker, most: number) {
    this.model = model;
    this.ranker = ranker;
    this.most = most;
  }

  /** Logits of each query's candidates, in their order. */
  async logits(queries: readonly CandidateQuery[], onProgress?: (done: number) => void): Promise<Float32Array[]> {
    const { window } = this.model.settings;
    const users = Math.max(1, Math.floor(MAX_CANDIDATES / this.most));
    const out: Float32Array[] = [];
    for (let from = 0; from < queries.length; ) {
      let to = from;
      let tokens = 0;
      for (; to < queries.length && to - from < users; to++) {
        const length = Math.min(window, queries[to].history.length);
        if (tokens + length > mostTokens(this.model)) break;
        tokens += length;
      }
      const batch = this.batch(powerOfTwo(Math.max(64, tokens, this.most)), to - from === 1 ? 1 : users);
      for (const logits of await batch.run(queries.slice(from, to))) out.push(logits);
      from = to;
      onProgress?.(from);
    }
    return out;
  }

  /** A batch for so many tokens, and for the candidates of one user or of many. */
  private batch(budget: number, users: number): Batch {
    const key = users === 1 ? -budget : budget;
    const found = this.batches.get(key) ?? new Batch(this.model, this.ranker, budget, users * this.most);
    this.batches.set(key, found);
    return found;
  }

  dispose(): void {
    for (const batch of this.batches.values()) batch.dispose();
    this.batches.clear();
  }
}

function inputSpec(budget: number, rows: number, times: boolean) {
  const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
  return {
    items: u32(budget),
    positions: u32(budget),
    /** Sequences of the encoder. */
    first: u32(budget),
    last: u32(budget),
    candidates: u32(rows),
    rows: u32(rows),
    places: u32(rows),
    start: u32(rows),
    end: u32(rows),
    from: u32(budget),
    to: u32(budget),
    ...(times ? { times: u32(budget) } : {}),
  };
}

class Batch {
  private readonly model: SequenceModel;
  private readonly rows: number;
  private readonly budget: number;
  private readonly inputs: Inputs<ReturnType<typeof inputSpec>>;
  private readonly program: Program<{ logits: Tensor }>;

  constructor(model: SequenceModel, ranker: Ranker, budget: number, rows: number) {
    const { device }: { device: Device } = model;
    this.model = model;
    this.budget = budget;
    this.rows = rows;
    this.inputs = new Inputs(device, inputSpec(budget, rows, readsTimes(model.settings)), 'candidates');
    const { first, last, ...t } = this.inputs.tensors;
    const { items, positions, times } = t;
    this.program = device.program(`rank ${rows} candidates`, () =>
      device.noGrad(() => {
        const h = model.encode({ items, positions, times, start: first, end: last });
        return { logits: ranker.logits(h, t) };
      }),
    );
  }

  async run(queries: readonly CandidateQuery[]): Promise<Float32Array[]> {
    const { host } = this.inputs;
    for (const array of Object.values(host)) array.fill(0);
    const { window } = this.model.settings;
    const tokens = [0];
    const lists = [0];
    queries.forEach((q, u) => {
      const at = tokens[u];
      const length = Math.min(window, q.history.length);
      const skipped = q.history.length - length;
      host.items.set(q.history.subarray(skipped), at);
      for (let i = 0; i < length; i++) {
        host.positions[at + i] = i;
        if (host.times) host.times[at + i] = q.times?.[skipped + i] ?? i;
      }
      tokens.push(at + length);
      lists.push(lists[u] + q.candidates.length);
      host.first.fill(at, at, at + length);
      host.last.fill(at + length, at, at + length);
      host.candidates.set(q.candidates, lists[u]);
      host.rows.fill(at + length - 1, lists[u], lists[u + 1]);
      host.places.fill(length - 1, lists[u], lists[u + 1]);
    });
    for (const [name, values] of Object.entries(crossBounds(lists, tokens, this.rows, this.budget)))
      host[name as 'start'].set(values);
    this.inputs.upload();
    const { logits } = this.program.run();
    await this.program.pace();
    await this.program.settle();
    const values = (await logits.data()) as Float32Array;
    return queries.map((_, u) => values.slice(lists[u], lists[u + 1]));
  }

  dispose(): void {
    this.program.dispose();
    this.inputs.dispose();
  }
}
