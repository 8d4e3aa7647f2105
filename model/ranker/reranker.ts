/** The ranker's logits for short lists of candidates after whole histories: packed in budgets, one recorded program each. */
import { type Device, Inputs, type Program, type Tensor } from '../../engine/index.ts';
import type { Ranker } from './ranker.ts';
import { type List, ListPacker, type ListRoom, listSpec, listTokens, sizeOfLists } from './lists.ts';
import {
  clearTokens,
  entriesOf,
  type History,
  lengthOf,
  packedTokens,
  packHistory,
  tokenSpec,
} from '../inference/packing.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';

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
    await this.ranker.refresh();
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
      const batch = this.batch(some, budget, some.length === 1 ? 1 : users);
      for (const logits of await batch.run(some)) out.push(logits);
      from = to;
      onProgress?.(from);
    }
    return out;
  }

  /** A batch for so many tokens, and for the candidates of one user or of many. */
  private batch(queries: readonly CandidateQuery[], budget: number, users: number): Batch {
    const { rankerMutual, rankerStates } = this.ranker.shape;
    const candidates = users * this.most;
    const lists = queries.map((q) => q.candidates);
    const { rows, entries } = sizeOfLists(lists, this.ranker.vocabulary);
    const states = rankerMutual === 'on' ? rankerStates : 0;
    const room: ListRoom = {
      tokens: budget,
      candidates,
      states,
      copies: users * states,
      training: false,
      // Candidates that are their rows alone take the same room however many there are.
      rows: entries > 0 ? powerOfTwo(Math.max(candidates, rows)) : candidates,
      entries: entries > 0 ? powerOfTwo(Math.max(candidates, entries)) : 0,
    };
    const beside = entriesOf(this.model, queries);
    const key = `${beside} ${Object.values(room)}`;
    const found = this.batches.get(key) ?? new Batch(this.model, this.ranker, room, beside);
    this.batches.set(key, found);
    return found;
  }

  dispose(): void {
    for (const batch of this.batches.values()) batch.dispose();
    this.batches.clear();
  }
}

class Batch {
  private readonly model: SequenceModel;
  private readonly tokens: Inputs<ReturnType<typeof tokenSpec>>;
  private readonly lists: Inputs<ReturnType<typeof listSpec>>;
  private readonly packer: ListPacker;
  private readonly program: Program<{ logits: Tensor; added: Tensor }>;

  /** @param beside entries of what stands beside the tokens */
  constructor(model: SequenceModel, ranker: Ranker, room: ListRoom, beside: number) {
    const { device }: { device: Device } = model;
    this.model = model;
    this.tokens = new Inputs(device, tokenSpec(room.tokens, model, beside), 'histories');
    this.lists = new Inputs(device, listSpec(room), 'candidates');
    this.packer = new ListPacker(room, ranker.vocabulary, this.lists.host);
    const encoder = packedTokens(model, this.tokens.tensors);
    const tokens = { encoder, ...listTokens(this.lists.tensors, room) };
    this.program = device.program(`rank ${room.candidates} candidates`, () =>
      device.noGrad(() => ranker.logits(model.encode(encoder), model.table, tokens)),
    );
  }

  async run(queries: readonly CandidateQuery[]): Promise<Ranked[]> {
    const { host } = this.tokens;
    let at = 0;
    const lists = queries.map((q): List => {
      const start = at;
      at = packHistory(this.model, q, host, start);
      return { candidates: q.candidates, row: at - 1, start };
    });
    clearTokens(host, at);
    const packed = this.packer.pack(lists);
    if (packed < lists.length) throw new Error(`reranker: room for ${packed} of ${lists.length} lists`);
    this.tokens.upload();
    this.lists.upload();
    const { logits, added } = await this.program.values();
    let first = 0;
    return queries.map(({ candidates }) => {
      const end = first + candidates.length;
      const one = { logits: logits.slice(first, end) as Float32Array, added: added.slice(first, end) as Float32Array };
      first = end;
      return one;
    });
  }

  dispose(): void {
    this.program.dispose();
    this.tokens.dispose();
    this.lists.dispose();
  }
}
