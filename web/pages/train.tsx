/** Train: choose a recipe and a few settings, then watch the training. */
import { pause, resume } from '../actions.ts';
import { countText, durationText, figure, percent } from '../format.ts';
import { appState, dataState, type TrainingState, trainingState } from '../state.ts';
import { useStore } from '../store.ts';
import { Chart } from '../ui/chart.tsx';
import { Notice, ProgressBar, Stat } from '../ui/components.tsx';
import { GroupsCard } from '../ui/groups.tsx';
import { TrainingForm } from '../ui/training-form.tsx';
import type { Metrics } from '../../train/evaluation/metrics.ts';
import type { ModelEntry } from '../worker/contract.ts';

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
        <TrainingForm />
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
        <div>It was paused, or the page was closed. What it had learned is saved; it continues where it stopped.</div>
      </div>
      <button type="button" class="button" onClick={() => resume(model.id)}>
        Continue it
      </button>
    </section>
  );
}

const PHASES: Record<string, string> = {
  recording: 'Recording the training data',
  baselines: 'Measuring the baselines',
  transitions: 'Learning item transitions',
  codes: 'Finding item codes',
  batching: 'Dividing the log into batches',
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
              Continue
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
        <Notice kind="error" title={error.device ? 'The graphics device failed.' : 'The training stopped.'}>
          <p>{error.text}</p>
          {model && <p>The last saved state is intact; "Continue" resumes from it on a new device.</p>}
        </Notice>
      )}
      {outcome && <Notice kind="info">{REASONS[outcome.reason]}</Notice>}
      {state.hidden && state.hidden.seconds > 2 && (
        <Notice kind="info">
          While this tab was hidden for {durationText(state.hidden.seconds)} the training continued for{' '}
          {countText(state.hidden.steps)} steps.
        </Notice>
      )}
      <section class="card stack" aria-label="Progress">
        <p role="status" class="status-line">
          {active ? (PHASES[progress?.phase ?? ''] ?? 'Preparing') : done ? 'Finished' : 'Stopped'}
        </p>
        <ProgressBar share={done ? 1 : (progress?.fraction ?? null)} label="Progress of the training" />
        <dl class="stats">
          <Stat
            label="Step"
            value={progress ? countText(progress.step) : '–'}
            hint={progress?.steps ? `${countText(progress.steps)} an epoch` : ' '}
          />
          <Stat label="Epoch" value={progress ? countText(progress.epoch + (done ? 0 : 1)) : '–'} />
          <Stat label="Loss" value={progress?.loss?.toFixed(3) ?? '–'} />
          <Stat label="Tokens a second" value={progress?.tokensPerSecond ? countText(progress.tokensPerSecond) : '–'} />
          {outcome ? (
            <Stat label="Time taken" value={durationText(outcome.seconds)} />
          ) : (
            <Stat
              label="Time left"
              value={progress?.secondsLeft && active ? durationText(progress.secondsLeft) : '–'}
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
      {done && <GroupsCard key={model} />}
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
  const components = Object.entries(outcome?.components ?? {}).map(([name, of]): [string, Metrics | null] => [
    `${name} alone`,
    of,
  ]);
  const rows: [string, Metrics | null][] = [
    ['this model', outcome?.metrics ?? best],
    ...components,
    ...Object.entries(baselines),
  ];
  return (
    <section class="card stack" aria-labelledby="compare-title">
      <h2 id="compare-title">Compared with simple recommenders</h2>
      <p class="muted">
        The last item but one of {countText(users)} users, ranked among all items: 1 would be always in first place.
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
