/** Shared by pages that query a model: the choice of the model, the history, the items. */
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ask } from '../actions.ts';
import { countText } from '../format.ts';
import { appState, askState } from '../state.ts';
import { useStore } from '../store.ts';
import type { ListedItem, OpenedModel } from '../worker/recommending.ts';
import { Attributes, Field, Notice, Spinner } from './components.tsx';

export const addToHistory = (id: string): void => askState.set({ history: [...askState.get().history, id] });

/** A page about one model: a header with the choice of the model, and the page once it is open. */
export function WithModel({ title, children }: { title: string; children: (model: OpenedModel) => ComponentChildren }) {
  const models = useStore(appState, (state) => state.models);
  const { id, model, error } = useStore(askState, (state) => state);
  const ready = useMemo(() => (models ?? []).filter((one) => one.ready), [models]);
  const asked = new URLSearchParams(location.hash.split('?')[1] ?? '').get('model');
  const wanted = ready.find((one) => one.id === (id ?? asked))?.id ?? ready[0]?.id ?? null;
  useEffect(() => {
    const next = ready.find((one) => one.id === asked)?.id ?? wanted;
    if (next) void ask(next);
  }, [asked, ready.length, id === null]);
  if (models === null) return <Spinner label="Looking for models" />;
  if (wanted === null) {
    return (
      <div class="card empty">
        <h1>{title}</h1>
        <p class="muted">There is no model in this browser yet. Train one, or open one that was trained elsewhere.</p>
        <div class="row">
          <a class="button primary" href="#/data">
            Train one
          </a>
          <a class="button" href="#/models">
            Open one
          </a>
        </div>
      </div>
    );
  }
  return (
    <div class="page">
      <div class="page-head">
        <h1>{title}</h1>
        <Field label="Model">
          {(ids) => (
            <select
              {...ids}
              value={wanted}
              onChange={(event) => {
                const chosen = event.currentTarget.value;
                history.replaceState(null, '', `${location.hash.split('?')[0]}?model=${encodeURIComponent(chosen)}`);
                void ask(chosen);
              }}
            >
              {ready.map((one) => (
                <option key={one.id} value={one.id}>
                  {one.name} · {countText(one.items)} items
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
      {error && (
        <Notice kind="error" title="This model cannot be opened.">
          {error}
        </Notice>
      )}
      {model?.note && <Notice kind="warn">{model.note}</Notice>}
      {model ? children(model) : !error && <Spinner label="Opening the model" />}
    </div>
  );
}

export function HistoryCard({ model }: { model: OpenedModel }) {
  const history = useStore(askState, (state) => state.history);
  const titles = useTitles(model);
  const list = useRef<HTMLOListElement>(null);
  const remove = (at: number) => {
    askState.set({ history: history.filter((_, i) => i !== at) });
    // The focus stays where it was, on the item that has moved up.
    const next = Math.min(at, history.length - 2);
    requestAnimationFrame(() => list.current?.querySelectorAll('button')[next]?.focus());
  };
  return (
    <section class="card stack" aria-labelledby="history-title">
      <div class="row">
        <h2 id="history-title">History</h2>
        <span class="muted">oldest first</span>
        {history.length > 0 && (
          <button type="button" class="button small" onClick={() => askState.set({ history: [] })}>
            Clear
          </button>
        )}
      </div>
      <ol class="chips" aria-live="polite" ref={list}>
        {history.map((id, at) => (
          <li key={`${at} ${id}`}>
            {titles.get(id) ?? id}
            <button type="button" aria-label={`Remove ${titles.get(id) ?? id}`} onClick={() => remove(at)}>
              ×
            </button>
          </li>
        ))}
      </ol>
      {history.length === 0 && <p class="muted">Add items in the order in which a user interacted with them.</p>}
    </section>
  );
}

export function useTitles(model: OpenedModel): Map<string, string> {
  return useMemo(() => new Map(model.items.map((item) => [item.id, item.title])), [model]);
}

/** Appends an item to the history. */
export function AddButton({ item }: { item: { id: string; title: string } }) {
  return (
    <button
      type="button"
      class="button small"
      aria-label={`Add ${item.title} to the history`}
      onClick={() => addToHistory(item.id)}
    >
      Add
    </button>
  );
}

const FOUND = 40;

/** Items by words of their title, attributes or ID. */
export function Search({ model }: { model: OpenedModel }) {
  const [text, setText] = useState('');
  const found = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const matches: ListedItem[] = [];
    for (const item of model.items) {
      const all = `${item.title} ${item.id} ${Object.values(item.attributes).join(' ')}`.toLowerCase();
      if (words.every((word) => all.includes(word))) matches.push(item);
      if (matches.length === FOUND) break;
    }
    return matches;
  }, [model, text]);
  return (
    <section class="card stack" aria-labelledby="search-title">
      <h2 id="search-title">Items</h2>
      <Field label="Search">
        {(ids) => (
          <input
            {...ids}
            type="search"
            value={text}
            placeholder="a title, a brand, an ID"
            onInput={(event) => setText(event.currentTarget.value)}
          />
        )}
      </Field>
      <ul class="items found">
        {found.map((item) => (
          <li key={item.id}>
            <div>
              <div class="name">{item.title}</div>
              <Attributes of={item.attributes} />
            </div>
            <AddButton item={item} />
          </li>
        ))}
        {found.length === 0 && <li class="muted">Nothing has these words.</li>}
      </ul>
    </section>
  );
}
