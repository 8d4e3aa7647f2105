/**
 * Why an item was recommended: what each event of the history, and the item transitions, contributed to its score.
 *
 * - `occlusion` leaves out each event in turn and scores again: the drop of the item's relative score
 *   (model/transitions/relative-score.ts) is the event's contribution. That is faithful to the model, at the cost of one
 *   more history to encode per event. Events that can replace each other drop little each, and contributions need not add
 *   up to the relative score. In a history longer than the window, the event before it moves up.
 * - `rollout` reads attention (model/inference/attention-maps.ts), the same for every item, and the summands of the item
 *   transitions, which are exact: both as shares, weighted by how far each component raises the item. It takes one pass and
 *   shows where the model looked.
 */
import { SideFeatureWriter, type SideFeatureRows } from '../../data/features/side-rows.ts';
import { attributeKinds, parseKind } from '../../data/features/kinds.ts';
import { type AttentionMaps, AttentionProbe } from '../../model/inference/attention-maps.ts';
import type { Item } from '../../model/storage/config.ts';
import type { LoadedModel } from '../../model/storage/load-model.ts';
import {
  HostTransitions,
  type RelativeScore,
  RelativeScorer,
  relativeScoreOf,
} from '../../model/transitions/relative-score.ts';
import type { EncodedQuery, History } from '../../model/inference/query.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';

export type ExplainMethod = 'occlusion' | 'rollout';

export interface EventContribution {
  /** Index in the query's history, from 0. */
  position: number;
  id: string;
  title: string;
  /** Occlusion: how far the item's relative score drops without the event, below 0 where it rises. Roll-out: the share. */
  contribution: number;
  /** Share of all positive contributions; 0 where this one is not positive. */
  share: number;
  /** Occlusion: the contribution by component. Roll-out: the shares of attention and of the item transitions. */
  transformer: number;
  memory: number;
}

/** An association, not a cause: the model reads IDs, and learned nothing from attributes. */
export interface AttributeShare {
  attribute: string;
  value: string;
  /** Share of the contributions by events whose item has this value in common with the recommended one. */
  share: number;
  /** Share of the events that have it. */
  history: number;
}

/** A history, and the index of each event in the user's own list. */
type ExplainQuery = History & Pick<EncodedQuery, 'positions'>;

export interface Explanation {
  method: ExplainMethod;
  /** How far each component ranks the item above the catalog's mean, in standard deviations of the transformer's scores. */
  lift: RelativeScore;
  /** Strongest first, without events that the model does not read. */
  events: EventContribution[];
  /** Largest share first. */
  attributes: AttributeShare[];
  /** The same in words. */
  sentence: string;
}

export class Explainer {
  private readonly items: readonly Item[];
  private readonly transitions: HostTransitions | null;
  private readonly scorer: RelativeScorer;
  private readonly probe: AttentionProbe;
  /** Events that any component of the model reads at most. */
  private readonly reach: number;
  private kinds: Set<string>[] | null = null;

  constructor(model: SequenceModel, { items, blended }: Pick<LoadedModel, 'items' | 'blended'>) {
    this.items = items;
    this.transitions = blended && new HostTransitions(blended.transitions, blended.blend);
    this.scorer = new RelativeScorer(model, this.transitions);
    this.probe = new AttentionProbe(model);
    this.reach = Math.max(model.settings.window - (model.cloze ? 1 : 0), this.transitions?.last ?? 0);
  }

  /** Where the model's attention looks in a history. */
  maps(history: History): Promise<AttentionMaps> {
    return this.probe.maps(history);
  }

  /** One explanation per item row. Calls share buffers: one at a time. */
  async explain(query: ExplainQuery, items: Uint32Array, method: ExplainMethod): Promise<Explanation[]> {
    if (items.length === 0) return [];
    const explained = await (method === 'occlusion' ? this.occlude(query, items) : this.rollOut(query, items));
    return explained.map(({ lift, contributions }, i) => {
      const first = query.history.length - contributions.length;
      const total = contributions.reduce((sum, { contribution }) => sum + Math.max(0, contribution), 0);
      const events = contributions.map((own, e): EventContribution => {
        const { id, title } = this.items[query.history[first + e]];
        const share = total > 0 ? Math.max(0, own.contribution) / total : 0;
        return { position: query.positions[first + e], id, title, share, ...own };
      });
      const rows = query.history.subarray(first);
      const attributes = this.attributesOf(items[i], rows, events);
      events.sort((a, b) => b.contribution - a.contribution || b.position - a.position);
      return { method, lift, events, attributes, sentence: sentenceOf(lift, events, this.transitions !== null) };
    });
  }

  private async occlude({ history, times, features }: History, items: Uint32Array): Promise<Contributions[]> {
    const n = Math.min(history.length, this.reach);
    const first = history.length - n;
    const without = (at: number): History => ({
      history: history.filter((_, i) => i !== at),
      times: times?.filter((_, i) => i !== at),
      features: features && withoutToken(features, at),
    });
    const left = history.length > 1 ? Array.from({ length: n }, (_, e) => without(first + e)) : [];
    const [whole, ...occluded] = await this.scorer.scores([{ history, times, features }, ...left], items);
    return whole.map((lift, i) => ({
      lift,
      contributions: Array.from({ length: n }, (_, e) => {
        // Without its only event a history is empty: every item is at the mean.
        const rest = occluded[e]?.[i] ?? { transformer: 0, memory: 0 };
        const [transformer, memory] = [lift.transformer - rest.transformer, lift.memory - rest.memory];
        return { contribution: transformer + memory, transformer, memory };
      }),
    }));
  }

  private async rollOut({ history, times, features }: History, items: Uint32Array): Promise<Contributions[]> {
    const n = Math.min(history.length, this.reach);
    const [whole] = await this.scorer.scores([{ history, times, features }], items);
    const shares = (await this.probe.maps({ history, times, features })).shares();
    const attention = new Float64Array(n);
    attention.set(shares, n - shares.length);
    return whole.map((lift, i) => {
      const sums = this.transitions
        ?.sharesOf(history, items[i])
        .subarray(history.length - n)
        .map((w) => Math.max(0, w));
      const total = sums?.reduce((sum, w) => sum + w, 0) ?? 0;
      const [t, m] = [Math.max(0, lift.transformer), total > 0 ? Math.max(0, lift.memory) : 0];
      const weight = t + m > 0 ? m / (t + m) : 0;
      return {
        lift,
        contributions: Array.from(attention, (transformer, e) => {
          const memory = sums && total > 0 ? sums[e] / total : 0;
          return { contribution: (1 - weight) * transformer + weight * memory, transformer, memory };
        }),
      };
    });
  }

  private attributesOf(item: number, rows: Uint32Array, events: readonly EventContribution[]): AttributeShare[] {
    this.kinds ??= attributeKinds(this.items.map(({ attributes }) => attributes));
    const { kinds } = this;
    const found: AttributeShare[] = [];
    for (const kind of kinds[item]) {
      let [share, count] = [0, 0];
      rows.forEach((row, e) => {
        if (!kinds[row].has(kind)) return;
        share += events[e].share;
        count++;
      });
      if (count > 0) found.push({ ...parseKind(kind), share, history: count / rows.length });
    }
    return found.sort((a, b) => b.share - a.share);
  }

  dispose(): void {
    this.scorer.dispose();
    this.probe.dispose();
  }
}

interface Contributions {
  lift: RelativeScore;
  /** One for each event, oldest first. */
  contributions: Pick<EventContribution, 'contribution' | 'transformer' | 'memory'>[];
}

const percent = (share: number): string => `${Math.round(100 * share)} %`;

/** Share of the item transitions; null where a component lowers the item, so that shares mean nothing. */
function transitionShare({ transformer, memory }: RelativeScore): number | null {
  return transformer >= 0 && memory >= 0 && transformer + memory > 0 ? memory / (transformer + memory) : null;
}

function sentenceOf(lift: RelativeScore, events: readonly EventContribution[], blended: boolean): string {
  const carriers = events.filter(({ share }) => share > 0);
  const named = carriers.filter(({ share }, i) => i === 0 || (i < 3 && share >= carriers[0].share / 3));
  const names = named.map(({ title, share }) => `${title} (${percent(share)})`);
  const list = names.length > 1 ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)}` : names[0];
  const sum = named.reduce((total, { share }) => total + share, 0);
  const because = list
    ? `${sum >= 0.5 ? 'Mainly' : 'Partly'} because of ${list}`
    : 'No event of the history explains it';
  if (!blended) return `${because}.`;
  const share = transitionShare(lift);
  if (share !== null) return `${because}; the item transitions give ${percent(share)} of its lead.`;
  if (relativeScoreOf(lift) <= 0) return `${because}; it ranks no higher than the catalog's mean.`;
  return `${because}; ${lift.memory > 0 ? 'only the item transitions raise it' : 'only the transformer raises it'}.`;
}

function withoutToken(rows: SideFeatureRows, at: number): SideFeatureRows {
  const writer = new SideFeatureWriter();
  for (let i = 0; i + 1 < rows.starts.length; i++) {
    if (i === at) continue;
    writer.addRow(rows, i);
    writer.endToken();
  }
  return writer.finish();
}
