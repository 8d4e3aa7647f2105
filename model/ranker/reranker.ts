/** The ranker's logits for short lists of candidates after whole histories: packed in budgets, one recorded program each. */
import { type Device, Inputs, type Program, type Tensor } from '../../engine/index.ts';
import type { Ranker } from './ranker.ts';
import { type List, ListPacker, type ListRoom, listSpec, listTokens, sizeOfLists } from './lists.ts';
import { Batcher, roundUp } from '../inference/batcher.ts';
import { entriesOf, lengthOf, packedTokens, packHistories, tokenSpec } from '../inference/packing.ts';
import type { History } from '../inference/query.ts';
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

/** Candidates of the largest batch. */
const MAX_CANDIDATES = 8192;

interface Size {
  room: ListRoom;
  /** Entries of the side features. */
  entries: number;
}

export class Reranker {
  private readonly model: SequenceModel;
  private readonly ranker: Ranker;
  /** Longest list of candidates. */
  private readonly most: number;
  private readonly batcher: Batcher<CandidateQuery, Size, Batch>;

  constructor(model: SequenceModel, ranker: Ranker, most: number) {
    this.model = model;
    this.ranker = ranker;
    this.most = most;
    const maxQueries = Math.max(1, Math.floor(MAX_CANDIDATES / most));
    this.batcher = new Batcher({
      lengthOf: ({ history }) => lengthOf(model, history),
      maxQueries,
      sizeOf: (queries, tokens) => ({
        room: this.roomFor(queries, Math.max(tokens, roundUp(most)), queries.length === 1 ? 1 : maxQueries),
        entries: entriesOf(model, queries),
      }),
      create: ({ room, entries }) => new Batch(model, ranker, room, entries),
    });
  }

  /** Logits of each query's candidates, in their order. @param onProgress awaited after each batch; it may throw to stop */
  async logits(
    queries: readonly CandidateQuery[],
    onProgress?: (done: number) => void | Promise<void>,
  ): Promise<Ranked[]> {
    await this.model.refresh();
    await this.ranker.refresh();
    const out: Ranked[] = [];
    for (const { batch, queries: group } of this.batcher.groups(queries)) {
      for (const ranked of await batch.run(group)) out.push(ranked);
      await onProgress?.(out.length);
    }
    return out;
  }

  /** Room for so many tokens, and for the candidates of one user or of many. */
  private roomFor(queries: readonly CandidateQuery[], tokens: number, users: number): ListRoom {
    const { rankerMutual, rankerStates } = this.ranker.shape;
    const candidates = users * this.most;
    const lists = queries.map((q) => q.candidates);
    const { rows, entries } = sizeOfLists(lists, this.ranker.vocabulary);
    const states = rankerMutual === 'on' ? rankerStates : 0;
    return {
      tokens,
      candidates,
      states,
      copies: users * states,
      training: false,
      // Candidates that are their rows alone take the same room however many there are.
      rows: entries > 0 ? roundUp(rows, candidates) : candidates,
      entries: entries > 0 ? roundUp(entries, candidates) : 0,
    };
  }

  dispose(): void {
    this.batcher.dispose();
  }
}

class Batch {
  private readonly model: SequenceModel;
  private readonly tokens: Inputs<ReturnType<typeof tokenSpec>>;
  private readonly lists: Inputs<ReturnType<typeof listSpec>>;
  private readonly packer: ListPacker;
  private readonly program: Program<{ logits: Tensor; added: Tensor }>;

  constructor(model: SequenceModel, ranker: Ranker, room: ListRoom, entries: number) {
    const { device }: { device: Device } = model;
    this.model = model;
    this.tokens = new Inputs(device, tokenSpec(room.tokens, model, entries), 'histories');
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
    const ends = packHistories(this.model, queries, host);
    const lists = queries.map(({ candidates }, i): List => ({ candidates, row: ends[i] - 1, start: ends[i - 1] ?? 0 }));
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
