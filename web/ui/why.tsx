/** Why an item was recommended: the events that contributed, shared attributes, and attention. */
import { useEffect, useState } from 'preact/hooks';
import { engine, messageOf } from '../engine.ts';
import { percent } from '../format.ts';
import { AttentionMap } from './attention.tsx';
import { Notice, Share, Spinner } from './components.tsx';
import type { Explanation, Recommendation, RecommendQuery } from '../../recommend/index.ts';
import type { AttentionFacts } from '../worker/recommending.ts';

/** Most events and attributes that are listed. */
const EVENTS = 6;
const ATTRIBUTES = 4;

export function Why({ query, item }: { query: RecommendQuery; item: Recommendation }) {
  const [why, setWhy] = useState<Explanation | null>(null);
  const [attention, setAttention] = useState<AttentionFacts | null>(null);
  const [errors, setErrors] = useState<string[]>([]);
  const key = JSON.stringify([query, item.id]);
  useEffect(() => {
    let here = true;
    const failed = (reason: unknown) => here && setErrors((all) => [...all, messageOf(reason)]);
    setWhy(null);
    setAttention(null);
    setErrors([]);
    engine()
      .recommend({ ...query, explain: 'occlusion' })
      .then(({ items }) => here && setWhy(items.find(({ id }) => id === item.id)?.explanation ?? null))
      .catch(failed);
    engine()
      .recommend({ history: query.history, k: 1, includeSeen: true, attention: true })
      .then((answer) => here && setAttention(answer.attention))
      .catch(failed);
    return () => {
      here = false;
    };
  }, [key]);
  return (
    <section class="why stack" aria-label={`Why ${item.title}`}>
      {errors.map((line) => (
        <Notice key={line} kind="error">
          {line}
        </Notice>
      ))}
      {why ? <Reasons why={why} /> : errors.length === 0 && <Spinner label="Leaving each event out in turn" />}
      {why && attention && (
        <>
          <h3>Where its attention went</h3>
          <AttentionMap attention={attention} />
        </>
      )}
    </section>
  );
}

function Reasons({ why }: { why: Explanation }) {
  const common = why.attributes.filter(({ share }) => share >= 0.05).slice(0, ATTRIBUTES);
  const most = why.events.reduce((largest, { contribution }) => Math.max(largest, Math.abs(contribution)), 1e-9);
  return (
    <>
      <p role="status">{why.sentence.replaceAll(' %', '\u00a0%')}</p>
      <h3>Events that carried it</h3>
      <ul class="shares">
        {why.events.slice(0, EVENTS).map(({ position, title, contribution, share }) => (
          <Share
            key={position}
            label={title}
            name={`${title}: ${contribution < 0 ? 'speaks against it' : percent(share)}`}
            part={Math.abs(contribution) / most}
            text={contribution < 0 ? 'against' : percent(share)}
            against={contribution < 0}
          />
        ))}
      </ul>
      {common.length > 0 && (
        <>
          <h3>In common with the history</h3>
          <p class="muted">What it shares with the events that contributed to it: an association, not a cause.</p>
          <ul class="shares">
            {common.map(({ attribute, value, share }) => (
              <Share
                key={`${attribute} ${value}`}
                label={
                  <>
                    <span class="muted">{attribute}</span> {value}
                  </>
                }
                name={`${attribute} ${value}: ${percent(share)}`}
                part={share}
                text={percent(share)}
              />
            ))}
          </ul>
        </>
      )}
    </>
  );
}
