/** Data: take a log or the demo shop, see what was understood and what is dropped, and correct it. */
import { useEffect, useState } from 'preact/hooks';
import { changeFilter, changeReading, chooseSource, forgetSource } from '../actions.ts';
import { inWords } from '../engine.ts';
import { bytes, countText, durationText, percent, plural } from '../format.ts';
import { appState, dataState } from '../state.ts';
import { useStore } from '../store.ts';
import { LogOptions } from '../ui/log-options.tsx';
import { Bars, Field, FileButton, Notice, ProgressBar, Stat } from '../ui/components.tsx';
import type { Analysis, Preview, Role } from '../worker/contract.ts';

const SHOPPERS = [300, 1000, 2500];

export function DataPage() {
  const source = useStore(dataState, (state) => state.source);
  return source ? <Opened /> : <Choose />;
}

function Choose() {
  const [over, setOver] = useState(false);
  const [shoppers, setShoppers] = useState(1000);
  const cpu = useStore(appState, (state) => state.device?.backend === 'cpu');
  useEffect(() => {
    if (cpu) setShoppers(SHOPPERS[0]);
  }, [cpu]);
  useDrop(setOver);
  return (
    <>
      <section class="hero">
        <h1>What comes next?</h1>
        <p class="lead">
          Give Attune a log of who did what, and a transformer learns on this device, in this page, what people do next.
          Then ask it, and look inside.
        </p>
      </section>
      <div class="choices">
        <section class={`card drop ${over ? 'over' : ''}`} aria-labelledby="own-log">
          <h2 id="own-log">Your own log</h2>
          <p class="muted">
            Drop a file anywhere on this page: CSV, TSV, JSON lines, Parquet, RecBole, MovieLens <code>::</code>, or
            lines of a user and items, gzip-compressed or not. A column of users, one of items, and of times if there is
            one.
          </p>
          <div class="row">
            <FileButton class="button primary" onFile={takeFile}>
              Choose a file
            </FileButton>
          </div>
        </section>
        <section class="card" aria-labelledby="demo-shop">
          <h2 id="demo-shop">The demo shop</h2>
          <p class="muted">
            Invented shoppers with interests, habits and wishes buy goods of all kinds. Good for a first look: it trains
            in a minute on most graphics cards.
          </p>
          <div class="row">
            <button type="button" class="button primary" onClick={() => chooseSource({ kind: 'shop', shoppers })}>
              Open the demo shop
            </button>
            <label class="row">
              <span class="visually-hidden">Shoppers</span>
              <select value={shoppers} onChange={(event) => setShoppers(Number(event.currentTarget.value))}>
                {SHOPPERS.map((n) => (
                  <option key={n} value={n}>
                    {countText(n)} shoppers
                  </option>
                ))}
              </select>
            </label>
          </div>
        </section>
      </div>
    </>
  );
}

const takeFile = (file: File): void => void chooseSource({ kind: 'file', file, items: null, users: null });

/** Files may be dropped on the whole page. */
function useDrop(setOver: (over: boolean) => void): void {
  useEffect(() => {
    const over = (event: DragEvent) => {
      event.preventDefault();
      setOver(true);
    };
    const leave = (event: DragEvent) => {
      if (!event.relatedTarget) setOver(false);
    };
    const drop = (event: DragEvent) => {
      event.preventDefault();
      setOver(false);
      const file = event.dataTransfer?.files[0];
      if (file) takeFile(file);
    };
    addEventListener('dragover', over);
    addEventListener('dragleave', leave);
    addEventListener('drop', drop);
    return () => {
      removeEventListener('dragover', over);
      removeEventListener('dragleave', leave);
      removeEventListener('drop', drop);
    };
  }, [setOver]);
}

function Opened() {
  const { source, preview, reads, analysis, error, filter } = useStore(dataState, (state) => state);
  useDrop(() => {});
  const name = source?.kind === 'file' ? source.file.name : 'The demo shop';
  return (
    <div class="page">
      <div class="page-head">
        <div>
          <h1>{name}</h1>
          {preview && (
            <p class="muted">
              {bytes(preview.bytes)}, {preview.format}
            </p>
          )}
        </div>
        <div class="row">
          <button type="button" class="button" onClick={forgetSource}>
            Other data
          </button>
          <a
            class={`button primary ${analysis ? '' : 'off'}`}
            href={analysis ? '#/train' : undefined}
            aria-disabled={!analysis}
          >
            Train on it
          </a>
        </div>
      </div>
      <p class="visually-hidden" role="status">
        {reads !== null ? 'Reading the log' : analysis ? `Read: ${plural(analysis.interactions, 'interaction')}` : ''}
      </p>
      {preview && <PreviewTable preview={preview} />}
      {error && (
        <Notice kind="error" title="This log cannot be learned from as it is.">
          {error}
        </Notice>
      )}
      {reads !== null && (
        <div class="card wait">
          <p aria-hidden="true">Reading, {percent(reads)}</p>
          <ProgressBar share={reads} label="Reading the log" />
        </div>
      )}
      {(analysis || error) && reads === null && (
        <div class="columns">
          <div class="stack">{analysis && <Found analysis={analysis} />}</div>
          <aside class="card stack" aria-labelledby="filters">
            <h2 id="filters">What counts</h2>
            <Field
              label="Fewest interactions"
              help="Users and items with fewer are left out, again and again until every one left has as many."
            >
              {(ids) => (
                <input
                  {...ids}
                  type="number"
                  min={1}
                  max={100}
                  value={filter.minInteractions}
                  onChange={(event) => changeFilter({ minInteractions: Number(event.currentTarget.value) })}
                />
              )}
            </Field>
            {analysis?.ratings && (
              <Field
                label="Lowest rating that counts"
                help={`Ratings go from ${analysis.ratings.least} to ${analysis.ratings.most}. Empty: every row counts as something liked.`}
              >
                {(ids) => (
                  <input
                    {...ids}
                    type="number"
                    step="any"
                    value={filter.minRating ?? ''}
                    onChange={(event) => {
                      const text = event.currentTarget.value;
                      void changeFilter({ minRating: text === '' ? null : Number(text) });
                    }}
                  />
                )}
              </Field>
            )}
            <LogOptions preview={preview} analysis={analysis} />
          </aside>
        </div>
      )}
    </div>
  );
}

const ROLES: Record<Role, string> = { user: 'User', item: 'Item', time: 'Time', rating: 'Rating' };

function PreviewTable({ preview }: { preview: Preview }) {
  const { columns } = useStore(dataState, (state) => state.reading);
  const { header, rows, named } = preview;
  const columnOf = (role: Role): number => {
    const asked = columns[role];
    return asked === undefined ? preview.roles[role] : header.indexOf(asked);
  };
  const roleAt = header.map((_, at) => (Object.keys(ROLES) as Role[]).find((role) => columnOf(role) === at));
  return (
    <section class="card stack" aria-labelledby="preview">
      <h2 id="preview">How it begins</h2>
      {named && (
        <div class="fields">
          {(Object.keys(ROLES) as Role[]).map((role) => (
            <Field key={role} label={`${ROLES[role]} column`}>
              {(ids) => (
                <select
                  {...ids}
                  value={columnOf(role)}
                  onChange={(event) => {
                    const name = header[Number(event.currentTarget.value)];
                    void changeReading({ columns: { ...columns, [role]: name } });
                  }}
                >
                  {columnOf(role) < 0 && <option value={-1}>none</option>}
                  {header.map((name, at) => (
                    <option key={name} value={at}>
                      {name}
                    </option>
                  ))}
                </select>
              )}
            </Field>
          ))}
        </div>
      )}
      <div class="scroll">
        <table class="preview">
          <thead>
            <tr>
              {header.map((name, at) => (
                <th key={name} scope="col" data-role={roleAt[at]}>
                  {name}
                  {roleAt[at] && ` · ${ROLES[roleAt[at]].toLowerCase()}`}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, 6).map((row, i) => (
              <tr key={i}>
                {header.map((name, at) => (
                  <td key={name} data-role={roleAt[at]}>
                    {row[at] ?? ''}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Found({ analysis }: { analysis: Analysis }) {
  const { removed } = analysis;
  const shares = removed.interactions + removed.byRating;
  return (
    <>
      <section class="card stack" aria-labelledby="found">
        <h2 id="found">What is there</h2>
        <dl class="stats loose">
          <Stat
            label="Users"
            value={countText(analysis.users)}
            hint={analysis.described > 0 ? `${countText(analysis.described)} with columns` : undefined}
          />
          <Stat
            label="Items"
            value={countText(analysis.items)}
            hint={analysis.titled > 0 ? `${countText(analysis.titled)} with titles` : undefined}
          />
          <Stat label="Interactions" value={countText(analysis.interactions)} />
          <Stat label="Half have at least" value={countText(analysis.medianLength)} hint="interactions" />
          {analysis.span && <Stat label="From" value={analysis.span.from} hint={`to ${analysis.span.to}`} />}
        </dl>
        <h3>How long histories are</h3>
        <Bars
          label="Users by the length of their history"
          bars={analysis.lengths.map(({ label, users }) => ({
            label,
            value: users,
            text: `${plural(users, 'user')} with ${label} interactions`,
          }))}
        />
      </section>
      <section class="card stack" aria-labelledby="dropped">
        <h2 id="dropped">What is dropped, and why</h2>
        {shares === 0 ? (
          <p>Nothing: all {countText(analysis.rows)} rows count.</p>
        ) : (
          <p>
            {countText(shares)} of {countText(analysis.rows)} rows ({percent(shares / analysis.rows)}).
          </p>
        )}
        <ul class="muted">
          {removed.byRating > 0 && <li>{plural(removed.byRating, 'row')} rated too low, or not rated</li>}
          {removed.interactions > 0 && (
            <li>
              {plural(removed.interactions, 'interaction')} of {plural(removed.users, 'user')} and{' '}
              {plural(removed.items, 'item')} that have too few
            </li>
          )}
          {analysis.lines.map((line) => (
            <li key={line}>{inWords(line)}</li>
          ))}
        </ul>
        <p class="muted">
          Read in {durationText(analysis.seconds)}. Each user's last interaction is kept to test on, the one before it
          to validate.
        </p>
      </section>
      <section class="card stack" aria-labelledby="popular">
        <h2 id="popular">Most often</h2>
        <table aria-labelledby="popular">
          <tbody>
            {analysis.popular.map(({ title, count: n }) => (
              <tr key={title}>
                <th scope="row" class="plain">
                  {title}
                </th>
                <td class="number">{countText(n)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </>
  );
}
