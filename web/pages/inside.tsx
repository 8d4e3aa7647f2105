/** Look inside: a map of the items, where attention goes, and what a training step spends its time on. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { ownValue } from '../../data/own-value.ts';
import { cellFormatOf, valuesOf } from '../../data/features/values.ts';
import { engine, messageOf } from '../engine.ts';
import { countText, percent } from '../format.ts';
import { askState } from '../state.ts';
import { useStore } from '../store.ts';
import { AttentionMap } from '../ui/attention.tsx';
import { addToHistory, HistoryCard, WithModel } from '../ui/asking.tsx';
import { Field, Notice, Spinner } from '../ui/components.tsx';
import { Scatter } from '../ui/scatter.tsx';
import type { AttentionFacts, OpenedModel } from '../worker/recommending.ts';
import type { ItemMap, StepProfile } from '../worker/inside.ts';

export function InsidePage() {
  return (
    <WithModel title="Look inside">
      {(model) => (
        <>
          <MapOfItems key={`map ${model.id}`} model={model} />
          <HistoryCard model={model} />
          <Attention key={`attention ${model.id}`} />
          <Profile key={`profile ${model.id}`} />
        </>
      )}
    </WithModel>
  );
}

const KINDS = 8;

/** Which group each item belongs to by an attribute: the most frequent values, all others in the last one. */
function groupsOf(model: OpenedModel, attribute: string): { names: string[]; of: Uint8Array } {
  const reading = cellFormatOf(model.items.flatMap(({ attributes }) => ownValue(attributes, attribute)?.trim() || []));
  const groupOf = ({ attributes }: OpenedModel['items'][number]): string =>
    valuesOf(ownValue(attributes, attribute), reading)[0] ?? '–';
  const counts = new Map<string, number>();
  for (const item of model.items) {
    const value = groupOf(item);
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const names = [...counts]
    .sort((a, b) => b[1] - a[1])
    .slice(0, KINDS)
    .map(([name]) => name);
  const of = Uint8Array.from(model.items, (item) => {
    const at = names.indexOf(groupOf(item));
    return at < 0 ? KINDS : at;
  });
  return { names, of };
}

/** The attribute whose most frequent values cover the most items. */
function mostTelling(model: OpenedModel, attributes: readonly string[]): string {
  const covered = (attribute: string): number => {
    const { names, of } = groupsOf(model, attribute);
    return names.length < 2 ? 0 : of.reduce((sum, group) => sum + (group < KINDS ? 1 : 0), 0);
  };
  return [...attributes].sort((a, b) => covered(b) - covered(a))[0] ?? '';
}

function MapOfItems({ model }: { model: OpenedModel }) {
  const [map, setMap] = useState<ItemMap | null>(null);
  const [error, setError] = useState<string | null>(null);
  const attributes = useMemo(() => [...new Set(model.items.flatMap((item) => Object.keys(item.attributes)))], [model]);
  const [attribute, setAttribute] = useState(() => mostTelling(model, attributes));
  const [text, setText] = useState('');
  useEffect(() => {
    engine()
      .map()
      .then(setMap)
      .catch((reason) => setError(messageOf(reason)));
  }, []);
  const groups = useMemo(() => groupsOf(model, attribute), [model, attribute]);
  const found = useMemo(() => {
    const word = text.trim().toLowerCase();
    if (word === '') return null;
    return Uint8Array.from(model.items, ({ title, id }) => (`${title} ${id}`.toLowerCase().includes(word) ? 1 : 0));
  }, [model, text]);
  return (
    <section class="card stack" aria-labelledby="map-title">
      <h2 id="map-title">A map of the items</h2>
      <p class="muted">
        Items that the model takes for alike lie in the same direction from the middle. It has learned that from who did
        what alone; the colors are not known to it. A click adds an item to the history below.
      </p>
      <div class="fields">
        {attributes.length > 0 && (
          <Field label="Color by">
            {(ids) => (
              <select {...ids} value={attribute} onChange={(event) => setAttribute(event.currentTarget.value)}>
                {attributes.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            )}
          </Field>
        )}
        <Field label="Find on the map">
          {(ids) => (
            <input {...ids} type="search" value={text} onInput={(event) => setText(event.currentTarget.value)} />
          )}
        </Field>
      </div>
      {error && <Notice kind="error">{error}</Notice>}
      <div class="map">
        {map ? (
          <Scatter
            positions={map.positions}
            groups={groups.of}
            found={found}
            titleOf={(at) => model.items[at].title}
            label={`Map of ${countText(model.items.length)} items by the two principal axes of their vectors`}
            onPick={(at) => addToHistory(model.items[at].id)}
          />
        ) : (
          !error && <Spinner label="Projecting the items" />
        )}
      </div>
      {attribute !== '' && (
        <ul class="legend">
          {groups.names.map((name, i) => (
            <li key={name}>
              <span class={`dot group-${i}`} />
              {name}
            </li>
          ))}
          {groups.of.includes(KINDS) && (
            <li>
              <span class={`dot group-${KINDS}`} />
              others
            </li>
          )}
        </ul>
      )}
      {map && (
        <p class="muted">
          Principal axes of the items' directions, computed here in {Math.round(map.ms)} ms; the two hold{' '}
          {percent(map.share)} of the variance.
        </p>
      )}
    </section>
  );
}

function Attention() {
  const history = useStore(askState, (state) => state.history);
  const [attention, setAttention] = useState<AttentionFacts | null>(null);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    let here = true;
    if (history.length === 0) {
      setAttention(null);
      return;
    }
    engine()
      .recommend({ history, k: 1, includeSeen: true, attention: true })
      .then((answer) => {
        if (!here) return;
        setAttention(answer.attention);
        setError(null);
      })
      .catch((reason) => here && setError(messageOf(reason)));
    return () => {
      here = false;
    };
  }, [history]);
  return (
    <section class="card stack" aria-labelledby="attention-title">
      <h2 id="attention-title">Where its attention goes</h2>
      {error && <Notice kind="error">{error}</Notice>}
      {history.length === 0 && <p class="muted">Add items to the history, on the map or on the page Recommend.</p>}
      {attention && <AttentionMap attention={attention} />}
    </section>
  );
}

function Profile() {
  const [profile, setProfile] = useState<StepProfile | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      setProfile(await engine().profile());
    } catch (reason) {
      setError(messageOf(reason));
    } finally {
      setBusy(false);
    }
  };
  return (
    <section class="card stack" aria-labelledby="profile-title">
      <h2 id="profile-title">What a training step spends its time on</h2>
      <div class="row">
        <button type="button" class="button" disabled={busy} onClick={run}>
          Time the kernels of a step
        </button>
        {busy && <Spinner label="Running three steps, a pass for each dispatch" />}
      </div>
      {error && <Notice kind="warn">{error}</Notice>}
      {profile && (
        <div class="scroll">
          <table>
            <caption>
              {profile.ms.toFixed(2)} ms of GPU time for {countText(profile.tokens)} tokens, mean of three steps.
            </caption>
            <thead>
              <tr>
                <th scope="col">Kernel</th>
                <th scope="col" class="number">
                  Calls
                </th>
                <th scope="col" class="number">
                  ms
                </th>
                <th scope="col" class="number">
                  Share
                </th>
                <th scope="col" class="number">
                  GB/s
                </th>
              </tr>
            </thead>
            <tbody>
              {profile.kernels.map(({ label, calls, ms, bytes }) => (
                <tr key={label}>
                  <th scope="row">{label}</th>
                  <td class="number">{calls}</td>
                  <td class="number">{ms.toFixed(3)}</td>
                  <td class="number">{percent(ms / profile.ms)}</td>
                  <td class="number">{ms > 0 ? (bytes / ms / 1e6).toFixed(1) : '–'}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
