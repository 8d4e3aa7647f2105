/** Train: choose a recipe and a few settings, then watch the training. */
import { useEffect, useState } from 'preact/hooks';
import { pause, resume, train } from '../actions.ts';
import { engine } from '../engine.ts';
import { count, duration, figure, percent } from '../format.ts';
import { appState, dataState, type TrainingState, trainingState } from '../state.ts';
import { useStore } from '../store.ts';
import { Chart } from '../ui/chart.tsx';
import { Field, Notice, Progress, Stat } from '../ui/parts.tsx';
import type { Metrics } from '../../train/evaluation/metrics.ts';
import type { Choices, ModelEntry, Plan } from '../worker/contract.ts';

export function TrainPage() {
  const status = useStore(trainingState, (state) => state.status);
  const analysis = useStore(dataState, (state) => state.analysis);
  const models = useStore(appState, (state) => state.models);
  const unfinished = (models ?? []).filter(({ state }) => state === 'running' || state === 'paused');
  if (status !== 'idle') return <Running />;
  return (
    <div class="page">
      <h1>Train</h1>
      {unfinished.map((model) => (
        <Unfinished key={model.id} model={model} />
      ))}
      {analysis ? (
        <Settings />
      ) : (
        <div class="card empty">
          <h2>No data yet</h2>
          <p class="muted">A model learns from a log: take yours, or the demo shop.</p>
          <a class="button primary" href="#/data">
            Choose data
          </a>
        </div>
      )}
    </div>
  );
}

function Unfinished({ model }: { model: ModelEntry }) {
  return (
    <section class="notice warn row" aria-label={`The training of ${model.name} is not finished`}>
      <div>
        <strong>The training of "{model.name}" is not finished.</strong>
        <div>It was paused, or the page was closed. What it had learned is saved; it goes on where it stopped.</div>
      </div>
      <button type="button" class="button" onClick={() => resume(model.id)}>
        Go on with it
      </button>
    </section>
  );
}

function Settings() {
  const { analysis, source } = useStore(dataState, (state) => state);
  const cpu = useStore(appState, (state) => state.device?.backend === 'cpu');
  const [{ recipes, settings }, setChoices] = useState<Choices>({ recipes: [], settings: [] });
  const [plan, setPlan] = useState<Plan>({
    name: source?.kind === 'file' ? source.file.name.replace(/\.\w+(\.gz)?$/, '') : 'demo-shop',
    recipe: null,
    settings: {},
    epochs: null,
    minutes: null,
    seed: 1,
    // Customers of a shop buy the same items again.
    includeSeen: source?.kind === 'shop',
  });
  const [more, setMore] = useState('');
  useEffect(() => {
    void engine().choices().then(setChoices);
  }, []);
  const set = (change: Partial<Plan>) => setPlan((now) => ({ ...now, ...change }));
  const setting = (key: string, value: string) => {
    const { [key]: _, ...rest } = plan.settings;
    set({ settings: value === '' ? rest : { ...rest, [key]: value } });
  };
  const wholeOrNull = (text: string): number | null => (text === '' ? null : Number(text));
  const summary = recipes.find(({ name }) => name === plan.recipe)?.summary;
  const begin = (event: Event) => {
    event.preventDefault();
    const pairs = more.split(/[\s,]+/).flatMap((pair) => (pair.includes('=') ? [pair.split('=', 2)] : []));
    void train({ ...plan, settings: { ...plan.settings, ...Object.fromEntries(pairs) } });
  };
  return (
    <form class="card stack" onSubmit={begin}>
      <p class="muted">
        {analysis?.source}: {count(analysis?.users ?? 0)} users, {count(analysis?.items ?? 0)} items,{' '}
        {count(analysis?.interactions ?? 0)} interactions.
      </p>
      {cpu && (
        <Notice kind="warn">
          On the CPU a small model takes minutes where a graphics card takes seconds: a width of 16 and a window of 20
          are a good start.
        </Notice>
      )}
      <div class="fields">
        <Field label="Name of the model">
          {(ids) => (
            <input
              {...ids}
              type="text"
              required
              value={plan.name}
              onInput={(e) => set({ name: e.currentTarget.value })}
            />
          )}
        </Field>
        <Field label="Recipe" help={summary ?? 'From the size of the log'}>
          {(ids) => (
            <select {...ids} value={plan.recipe ?? ''} onChange={(e) => set({ recipe: e.currentTarget.value || null })}>
              <option value="">what suits the log</option>
              {recipes.map(({ name }) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Most minutes" help="Empty: until it no longer improves">
          {(ids) => (
            <input
              {...ids}
              type="number"
              min={0.1}
              step="any"
              value={plan.minutes ?? ''}
              onInput={(e) => set({ minutes: wholeOrNull(e.currentTarget.value) })}
            />
          )}
        </Field>
        <Field label="Epochs" help="Rounds over the data. Empty: until it no longer improves">
          {(ids) => (
            <input
              {...ids}
              type="number"
              min={1}
              value={plan.epochs ?? ''}
              onInput={(e) => set({ epochs: wholeOrNull(e.currentTarget.value) })}
            />
          )}
        </Field>
      </div>
      <label class="check">
        <input
          type="checkbox"
          checked={plan.includeSeen}
          onChange={(e) => set({ includeSeen: e.currentTarget.checked })}
        />
        Items already in a history may be recommended again
      </label>
      <details>
        <summary>More settings</summary>
        <div class="fields">
          <Field label="Width" help="Numbers that describe an item">
            {(ids) => (
              <input
                {...ids}
                type="number"
                min={4}
                step={4}
                value={plan.settings.d ?? ''}
                placeholder="as the recipe"
                onInput={(e) => setting('d', e.currentTarget.value)}
              />
            )}
          </Field>
          <Field label="Window" help="Events of a history that the model reads">
            {(ids) => (
              <input
                {...ids}
                type="number"
                min={2}
                value={plan.settings.window ?? ''}
                placeholder="as the recipe"
                onInput={(e) => setting('window', e.currentTarget.value)}
              />
            )}
          </Field>
          <Field label="Seed" help="The same seed on the same device gives the same model">
            {(ids) => (
              <input
                {...ids}
                type="number"
                value={plan.seed}
                onInput={(e) => set({ seed: Number(e.currentTarget.value) })}
              />
            )}
          </Field>
          <Field label="Any other setting" help="key=value, one after the other, as attune train --set takes them">
            {(ids) => (
              <textarea
                {...ids}
                rows={3}
                value={more}
                spellcheck={false}
                onInput={(e) => setMore(e.currentTarget.value)}
              />
            )}
          </Field>
        </div>
        <details>
          <summary>What settings there are</summary>
          <dl>
            {settings.map(({ name, about }) => (
              <div key={name}>
                <dt>
                  <code>{name}</code>
                </dt>
                {about.map((line) => (
                  <dd key={line} class="muted">
                    {line}
                  </dd>
                ))}
              </div>
            ))}
          </dl>
        </details>
      </details>
      <div class="row">
        <button type="submit" class="button primary">
          Start training
        </button>
      </div>
    </form>
  );
}

const PHASES: Record<string, string> = {
  recording: 'Recording the training data',
  transitions: 'Learning item transitions',
  compiling: 'Compiling the kernels',
  training: 'Training',
  validating: 'Validating',
  saving: 'Saving',
  blending: 'Fitting the blend',
  ranking: 'Training the ranker',
};

const REASONS: Record<string, string> = {
  'early-stopping': 'Done: it no longer improved.',
  epochs: 'Done: all epochs are through.',
  time: 'Done: the time is up.',
  interrupted: 'Paused. Everything is saved.',
  'finished before': 'This training had been finished before.',
};

function Running() {
  const state = useStore(trainingState, (all) => all);
  const { status, progress, outcome, error, model } = state;
  const done = status === 'done';
  const active = status === 'running' || status === 'preparing' || status === 'pausing';
  return (
    <div class="page">
      <div class="page-head">
        <div>
          <h1>{model ?? 'Train'}</h1>
          <p class="muted">{state.about || 'Reading the log'}</p>
        </div>
        <div class="row">
          {active && (
            <button type="button" class="button" disabled={status !== 'running'} onClick={pause}>
              {status === 'pausing' ? 'Pausing …' : 'Pause'}
            </button>
          )}
          {(status === 'paused' || (status === 'failed' && model)) && (
            <button type="button" class="button primary" onClick={() => resume(model as string)}>
              Go on
            </button>
          )}
          {!active && (
            <button type="button" class="button" onClick={() => trainingState.set({ status: 'idle' })}>
              New training
            </button>
          )}
          {(done || status === 'paused') && (
            <a class="button primary" href={`#/recommend?model=${encodeURIComponent(model ?? '')}`}>
              Recommend
            </a>
          )}
        </div>
      </div>
      {error && (
        <Notice kind="error" title={/device/.test(error) ? 'The graphics device failed.' : 'The training stopped.'}>
          <p>{error}</p>
          {model && <p>The last saved state is intact; "Go on" continues from it on a new device.</p>}
        </Notice>
      )}
      {outcome && <Notice kind="info">{REASONS[outcome.reason]}</Notice>}
      {state.hidden && state.hidden.seconds > 2 && (
        <Notice kind="info">
          While this tab was hidden for {duration(state.hidden.seconds)} the training went on for{' '}
          {count(state.hidden.steps)} steps.
        </Notice>
      )}
      <section class="card stack" aria-label="Progress">
        <p role="status" class="status-line">
          {active ? (PHASES[progress?.phase ?? ''] ?? 'Preparing') : done ? 'Finished' : 'Stopped'}
        </p>
        <Progress share={done ? 1 : (progress?.fraction ?? null)} label="Progress of the training" />
        <dl class="stats">
          <Stat
            label="Step"
            value={progress ? count(progress.step) : '–'}
            hint={progress?.steps ? `${count(progress.steps)} an epoch` : ' '}
          />
          <Stat label="Epoch" value={progress ? count(progress.epoch + (done ? 0 : 1)) : '–'} />
          <Stat label="Loss" value={progress?.loss?.toFixed(3) ?? '–'} />
          <Stat label="Tokens a second" value={progress?.tokensPerSecond ? count(progress.tokensPerSecond) : '–'} />
          {outcome ? (
            <Stat label="Time taken" value={duration(outcome.seconds)} />
          ) : (
            <Stat
              label="Time left"
              value={progress?.secondsLeft && active ? duration(progress.secondsLeft) : '–'}
              hint={active && progress && progress.secondsLeft === null ? 'until it no longer improves' : ' '}
            />
          )}
          <Stat label="Best NDCG@10" value={figure(outcome?.metrics?.['NDCG@10'] ?? progress?.bestNdcg)} />
        </dl>
      </section>
      <div class="columns">
        <Charts state={state} />
        <Compare state={state} />
      </div>
      {state.notes.length > 0 && (
        <details class="card">
          <summary>What was chosen</summary>
          <ul class="muted">
            {state.notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}

function Charts({ state: { losses, validations } }: { state: TrainingState }) {
  const valid = validations.map(({ step, metrics }): [number, number] => [step, metrics['NDCG@10']]);
  return (
    <div class="stack">
      <section class="card stack" aria-labelledby="loss-title">
        <h2 id="loss-title">Training loss</h2>
        <Chart label="Training loss by step" series={[{ label: 'loss', color: '--accent', points: losses }]} />
      </section>
      <section class="card stack" aria-labelledby="valid-title">
        <h2 id="valid-title">Validation NDCG@10</h2>
        <Chart label="Validation by step" series={[{ label: 'NDCG@10', color: '--warm', points: valid }]} />
      </section>
    </div>
  );
}

function Compare({ state }: { state: TrainingState }) {
  const { baselines, outcome, validations, users } = state;
  const best = validations.reduce<Metrics | null>(
    (top, { metrics }) => (!top || metrics['NDCG@10'] > top['NDCG@10'] ? metrics : top),
    null,
  );
  const parts = Object.entries(outcome?.parts ?? {}).map(([name, of]): [string, Metrics | null] => [
    `${name} alone`,
    of,
  ]);
  const rows: [string, Metrics | null][] = [
    ['this model', outcome?.metrics ?? best],
    ...parts,
    ...Object.entries(baselines),
  ];
  return (
    <section class="card stack" aria-labelledby="compare-title">
      <h2 id="compare-title">Beside simple recommenders</h2>
      <p class="muted">
        The last item but one of {count(users)} users, found among all items: 1 would be always, in first place.
      </p>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Recommender</th>
              <th scope="col" class="number">
                NDCG@10
              </th>
              <th scope="col" class="number">
                in the top 10
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, metrics], i) => (
              <tr key={name} class={i === 0 ? 'mine' : ''}>
                <th scope="row">{name}</th>
                <td class="number">{figure(metrics?.['NDCG@10'])}</td>
                <td class="number">{metrics ? percent(metrics['HR@10']) : '–'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
