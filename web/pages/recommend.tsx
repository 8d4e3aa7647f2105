/** Recommend: build a history by clicking, see what would come next, and why. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { engine, messageOf } from '../engine.ts';
import { percent } from '../format.ts';
import { askState } from '../state.ts';
import { useStore } from '../store.ts';
import { AddButton, HistoryCard, Search, WithModel } from '../ui/asking.tsx';
import { Adapt } from '../ui/adapt.tsx';
import { CalibrationCard, type CalibrationChoice } from '../ui/calibration.tsx';
import { Attributes, Field, Notice } from '../ui/components.tsx';
import { Why } from '../ui/why.tsx';
import type { RecommendQuery, Recommendation } from '../../recommend/index.ts';
import { LISTED } from '../worker/contract.ts';
import type { OpenedModel, PageAnswer } from '../worker/recommending.ts';

export function RecommendPage() {
  return <WithModel title="Recommend">{(model) => <Recommending key={model.id} model={model} />}</WithModel>;
}

/** Post-processing of the list; empty values change nothing. */
interface ListOptions extends CalibrationChoice {
  seen: boolean;
  where: string;
  diversity: number;
  penalty: number;
}

function Recommending({ model }: { model: OpenedModel }) {
  const history = useStore(askState, (state) => state.history);
  const [options, setOptions] = useState<ListOptions>({
    seen: model.includeSeen,
    where: '',
    diversity: 0,
    penalty: 0,
    mix: '',
    calibration: 0.3,
  });
  const [answer, setAnswer] = useState<PageAnswer | null>(null);
  const [error, setError] = useState<string | null>(null);
  const adapted = useStore(askState, (state) => state.adapted);
  const query = useMemo(() => queryOf(history, options), [history, options, adapted]);
  const latest = useRef(query);
  latest.current = query;
  const busy = useRef(false);
  // One query at a time, then the latest one: clicks that come faster than responses do not queue up.
  const answerLatest = async () => {
    if (busy.current) return;
    busy.current = true;
    for (let asked: RecommendQuery | null = null; asked !== latest.current; ) {
      asked = latest.current;
      try {
        setAnswer(asked.history.length > 0 ? await engine().recommend(asked) : null);
        setError(null);
      } catch (reason) {
        setError(messageOf(reason));
      }
    }
    busy.current = false;
  };
  useEffect(() => void answerLatest(), [query]);
  return (
    <>
      <HistoryCard model={model} />
      <div class="columns">
        <section class="card stack" aria-labelledby="next-title">
          <div class="page-head">
            <h2 id="next-title">What comes next</h2>
            <p class="muted" role="status">
              {answer && !error
                ? `Computed in ${answer.ms < 10 ? answer.ms.toFixed(1) : Math.round(answer.ms)} ms`
                : ' '}
              <span class="visually-hidden">{answer?.items[0] && `. First: ${answer.items[0].title}`}</span>
            </p>
          </div>
          {error && <Notice kind="error">{error}</Notice>}
          <List answer={answer} query={query} />
        </section>
        <div class="stack">
          <Search model={model} />
          <Tuning model={model} options={options} onChange={setOptions} />
          {model.mixes.length > 0 && (
            <CalibrationCard
              model={model}
              options={options}
              mix={options.mix === '' ? null : (answer?.mix ?? null)}
              onChange={(change) => setOptions((now) => ({ ...now, ...change }))}
            />
          )}
          <Adapt />
        </div>
      </div>
    </>
  );
}

function queryOf(history: string[], options: ListOptions): RecommendQuery {
  const { seen, where, diversity, penalty, mix, calibration } = options;
  return {
    history,
    k: LISTED,
    includeSeen: seen,
    ...(where.trim() !== '' && { where }),
    ...(diversity > 0 && { diversity }),
    ...(penalty > 0 && { popularityPenalty: penalty }),
    ...(mix !== '' && { calibrate: { [mix]: calibration } }),
  };
}

function List({ answer, query }: { answer: PageAnswer | null; query: RecommendQuery }) {
  const [asked, setAsked] = useState<string | null>(null);
  const items = answer?.items ?? [];
  // Positions are kept, so that nothing jumps when the list changes.
  return (
    <ol class="items recommended">
      {Array.from({ length: LISTED }, (_, at) => {
        const item = items[at];
        const open = item !== undefined && asked === item.id;
        return (
          <li key={at}>
            <span class="rank" aria-hidden="true">
              {at + 1}
            </span>
            {item ? <Recommended item={item} open={open} onWhy={() => setAsked(open ? null : item.id)} /> : <span />}
            {open && <Why query={query} item={item} />}
          </li>
        );
      })}
    </ol>
  );
}

function Recommended({ item, open, onWhy }: { item: Recommendation; open: boolean; onWhy: () => void }) {
  return (
    <>
      <div>
        <div class="name">{item.title}</div>
        <Attributes of={item.attributes} />
      </div>
      <div class="row tight">
        <button
          type="button"
          class="button small"
          aria-expanded={open}
          aria-label={`Why ${item.title}`}
          onClick={onWhy}
        >
          Why
        </button>
        <AddButton item={item} />
      </div>
    </>
  );
}

function Tuning({
  model,
  options,
  onChange,
}: {
  model: OpenedModel;
  options: ListOptions;
  onChange: (change: (now: ListOptions) => ListOptions) => void;
}) {
  const set = (change: Partial<ListOptions>) => onChange((now) => ({ ...now, ...change }));
  const names = Object.keys(model.items[0]?.attributes ?? {});
  const example = names.length > 0 ? `${names[0]}=${Object.values(model.items[0].attributes)[0]}` : 'title=…';
  const quoted = example.replace(/=(.* .*)$/, '="$1"');
  return (
    <section class="card stack" aria-labelledby="tuning-title">
      <h2 id="tuning-title">What is shown</h2>
      <label class="check">
        <input
          type="checkbox"
          checked={options.seen}
          onChange={(event) => set({ seen: event.currentTarget.checked })}
        />
        Items of the history, too
      </label>
      <Field
        label="Only items where"
        help={`For example ${quoted}. With and, or, not, <, >, in (a, b)${names.length > 0 ? `; there is ${names.slice(0, 6).join(', ')}` : ''}.`}
      >
        {(ids) => (
          <input
            {...ids}
            type="text"
            value={options.where}
            spellcheck={false}
            onChange={(event) => set({ where: event.currentTarget.value })}
          />
        )}
      </Field>
      <Field
        label={`Diversity: ${percent(options.diversity)}`}
        help="How much being unlike the items above it helps an item."
      >
        {(ids) => (
          <input
            {...ids}
            type="range"
            min={0}
            max={1}
            step={0.05}
            value={options.diversity}
            onInput={(event) => set({ diversity: Number(event.currentTarget.value) })}
          />
        )}
      </Field>
      <Field
        label={`Less popular ones first: ${options.penalty.toFixed(1)}`}
        help="What popular items pay of their score."
      >
        {(ids) => (
          <input
            {...ids}
            type="range"
            min={0}
            max={3}
            step={0.1}
            value={options.penalty}
            onInput={(event) => set({ penalty: Number(event.currentTarget.value) })}
          />
        )}
      </Field>
    </section>
  );
}
