/** The ranker's logits for short lists of candidates after whole histories: packed in budgets, one recorded program each. */
import { crossBounds, type Device, Inputs, type Program, type Tensor } from '../engine/index.ts';
import type { Ranker } from './ranker.ts';
import { clearTokens, entriesOf, type History, lengthOf, packedTokens, packHistory, tokenSpec } from './packing.ts';
import type { SequenceModel } from './sequence-model.ts';

export interface CandidateQuery extends History {
  /** Item rows, at most `candidates` of them. */
  candidates: Uint32Array;
}

/** Of each candidate: its logit, and what of it the ranker added to the encoder's score. */
export interface Ranked {
  logits: Float32Array;
  added: Float32Array;
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
  private readonly batches = new Map<string, Batch>();

  constructor(model: SequenceModel, ranker: Ranker, most: number) {
    this.model = model;
    this.ranker = ranker;
    this.most = most;
  }

  /** Logits of each query's candidates, in their order. */
  async logits(queries: readonly CandidateQuery[], onProgress?: (done: number) => void): Promise<Ranked[]> {
    await this.model.refresh();
    const users = Math.max(1, Math.floor(MAX_CANDIDATES / this.most));
    const out: Ranked[] = [];
    for (let from = 0; from < queries.length; ) {
      let to = from;
      let tokens = 0;
      for (; to < queries.length && to - from < users; to++) {
        const length = lengthOf(this.model, queries[to].history);
        if (tokens + length > mostTokens(this.model)) break;
        tokens += length;
      }
      const some = queries.slice(from, to);
      const budget = powerOfTwo(Math.max(64, tokens, this.most));
      const batch = this.batch(budget, some.length === 1 ? 1 : users, entriesOf(this.model, some));
      for (const logits of await batch.run(some)) out.push(logits);
      from = to;
      onProgress?.(from);
    }
    return out;
  }

  /** A batch for so many tokens, and for the candidates of one user or of many. */
  private batch(budget: number, users: number, entries: number): Batch {
    const key = `${budget} ${users} ${entries}`;
    const found = this.batches.get(key) ?? new Batch(this.model, this.ranker, budget, users * this.most, entries);
    this.batches.set(key, found);
    return found;
  }

  dispose(): void {
    for (const batch of this.batches.values()) batch.dispose();
    this.batches.clear();
  }
}

function inputSpec(model: SequenceModel, budget: number, rows: number, entries: number) {
  const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
  return {
    ...tokenSpec(budget, model, entries),
    candidates: u32(rows),
    rows: u32(rows),
    places: u32(rows),
    keysFrom: u32(rows),
    keysTo: u32(rows),
    from: u32(budget),
    to: u32(budget),
  };
}

class Batch {
  private readonly model: SequenceModel;
  private readonly rows: number;
  private readonly budget: number;
  private readonly inputs: Inputs<ReturnType<typeof inputSpec>>;
  private readonly program: Program<{ logits: Tensor; added: Tensor }>;

  constructor(model: SequenceModel, ranker: Ranker, budget: number, rows: number, entries: number) {
    const { device }: { device: Device } = model;
    this.model = model;
    this.budget = budget;
    this.rows = rows;
    this.inputs = new Inputs(device, inputSpec(model, budget, rows, entries), 'candidates');
    const { candidates, rows: at, places, keysFrom, keysTo, from, to, ...tokens } = this.inputs.tensors;
    const { items, positions } = tokens;
    const ranked = { items, positions, candidates, rows: at, places, start: keysFrom, end: keysTo, from, to };
    this.program = device.program(`rank ${rows} candidates`, () =>
      device.noGrad(() => ranker.logits(model.encode(packedTokens(model, tokens)), ranked, model.table)),
    );
  }

  async run(queries: readonly CandidateQuery[]): Promise<Ranked[]> {
    const { host } = this.inputs;
    for (const name of ['candidates', 'rows', 'places'] as const) host[name].fill(0);
    const tokens = [0];
    const lists = [0];
    queries.forEach((q, u) => {
      tokens.push(packHistory(this.model, q, host, tokens[u]));
      lists.push(lists[u] + q.candidates.length);
      host.candidates.set(q.candidates, lists[u]);
      host.rows.fill(tokens[u + 1] - 1, lists[u], lists[u + 1]);
      host.places.fill(tokens[u + 1] - tokens[u] - 1, lists[u], lists[u + 1]);
    });
    clearTokens(host, tokens[queries.length]);
    const { start, end, from, to } = crossBounds(lists, tokens, this.rows, this.budget);
    host.keysFrom.set(start);
    host.keysTo.set(end);
    host.from.set(from);
    host.to.set(to);
    this.inputs.upload();
    const { logits, added } = await this.program.values();
    return queries.map((_, u) => {
      const [first, end] = [lists[u], lists[u + 1]];
      return { logits: logits.slice(first, end) as Float32Array, added: added.slice(first, end) as Float32Array };
    });
  }

  dispose(): void {
    this.program.dispose();
    this.inputs.dispose();
  }
}
