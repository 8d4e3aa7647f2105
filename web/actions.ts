/** Actions of a visitor that concern more than one page. */
import { callback, engine, messageOf } from './engine.ts';
import { appState, askState, dataState, newPlan, NOT_TRAINING, planState, trainingState } from './state.ts';
import type { Filter, LogReading, LogSource, Plan, TrainEvent, TrainingOutcome } from './worker/contract.ts';
import type { SentError } from './worker/errors.ts';

// ---- data ----

let turn = 0;

/** Opens a log: shows its first rows, then reads all of it. */
export async function chooseSource(source: LogSource): Promise<void> {
  const mine = ++turn;
  const filter = { minInteractions: source.kind === 'shop' ? 1 : 5, minRating: null };
  const reading = { columns: {}, maxBadRows: 0, events: [] };
  dataState.set({ source, preview: null, analysis: null, error: null, reads: 0, reading, filter });
  planState.set({ plan: newPlan(source), refused: null });
  try {
    const preview = source.kind === 'file' ? await engine().preview(source.file) : null;
    if (mine !== turn) return;
    dataState.set({ preview });
    await readAll(mine);
  } catch (error) {
    if (mine === turn) dataState.set({ error: messageOf(error), reads: null });
  }
}

async function readAll(mine: number): Promise<void> {
  const { source, reading, filter } = dataState.get();
  if (!source) return;
  const onProgress = callback((share: number) => {
    if (mine === turn) dataState.set({ reads: share });
  });
  const analysis = await engine().load(source, reading, filter, onProgress);
  if (mine === turn) dataState.set({ analysis, reads: null });
}

/** Reads the log again, with other columns, files of items and users, or more rows that may be skipped. */
export async function changeReading(
  change: Partial<LogReading>,
  files: { items?: File; users?: File } = {},
): Promise<void> {
  const mine = ++turn;
  const { reading, source } = dataState.get();
  if (source?.kind === 'file') dataState.set({ source: { ...source, ...files } });
  dataState.set({ reading: { ...reading, ...change }, analysis: null, error: null, reads: 0 });
  try {
    await readAll(mine);
  } catch (error) {
    if (mine === turn) dataState.set({ error: messageOf(error), reads: null });
  }
}

export async function changeFilter(change: Partial<Filter>): Promise<void> {
  const mine = ++turn;
  const filter = { ...dataState.get().filter, ...change };
  dataState.set({ filter, error: null });
  try {
    const analysis = await engine().filter(filter);
    if (mine === turn) dataState.set({ analysis });
  } catch (error) {
    if (mine === turn) dataState.set({ error: messageOf(error), analysis: null });
  }
}

export function forgetSource(): void {
  turn++;
  dataState.set({ source: null, preview: null, analysis: null, error: null, reads: null });
}

// ---- training ----

/** Most points of a chart: beyond, every other one is removed. */
const POINTS = 2000;

function onEvent(event: TrainEvent): void {
  const state = trainingState.get();
  switch (event.kind) {
    case 'started': {
      const { model, device, about, baselines, users, notes, earlier } = event;
      // After a pause in this page the chart is still there, in more detail.
      const kept = state.losses.length > 0 ? {} : earlier;
      trainingState.set({ status: 'running', model, device, about, baselines, users, notes, ...kept });
      void refreshModels();
      return;
    }
    case 'progress': {
      const { kind: _, at: __, ...progress } = event;
      const [lastStep, lastLoss] = state.losses.at(-1) ?? [-1, null];
      let losses = state.losses;
      // The loss is read every few steps; in between, the last one is reported again.
      if (progress.loss !== null && progress.step > lastStep && progress.loss !== lastLoss)
        losses = [...losses, [progress.step, progress.loss]];
      if (losses.length > POINTS) losses = losses.filter((_, i) => i % 2 === 0);
      // What comes after the last step (fitting the blend) has no loss and no speed of its own.
      const { loss, tokensPerSecond } = progress;
      const kept = {
        loss: loss ?? state.progress?.loss ?? null,
        tokensPerSecond: tokensPerSecond || (state.progress?.tokensPerSecond ?? 0),
      };
      trainingState.set({ progress: { ...progress, ...kept }, losses });
      return;
    }
    case 'validation': {
      const { step, metrics } = event;
      trainingState.set({ validations: [...state.validations.filter((v) => v.step < step), { step, metrics }] });
      return;
    }
    case 'note':
      trainingState.set({ notes: [...state.notes, event.text] });
  }
}

async function follow(work: (report: (event: TrainEvent) => void) => Promise<TrainingOutcome>): Promise<void> {
  const unwatch = watchHidden();
  try {
    const outcome = await work(callback(onEvent));
    trainingState.set({ outcome, status: outcome.reason === 'interrupted' ? 'paused' : 'done' });
  } catch (error) {
    failed(error);
  } finally {
    unwatch();
    forgetModel(trainingState.get().model);
    await refreshModels();
    await refreshDevice();
  }
}

/** Before its start, a training is refused, and the form says why. */
function failed(error: unknown): void {
  const text = messageOf(error);
  const { name, setting } = error as Partial<SentError>;
  if (trainingState.get().model !== null) {
    trainingState.set({ status: 'failed', error: { text, device: name === 'DeviceError' } });
  } else {
    planState.set({ refused: { text, setting } });
    trainingState.set({ status: 'idle' });
  }
}

const busy = (): boolean => ['preparing', 'running', 'pausing'].includes(trainingState.get().status);

/** Changes what is filled in on the page Train. */
export function changePlan(change: Partial<Plan>): void {
  planState.set({ plan: { ...planState.get().plan, ...change }, refused: null });
}

/** Trains by what is filled in. */
export async function startTraining(): Promise<void> {
  if (busy()) return;
  const { plan } = planState.get();
  trainingState.set({ ...NOT_TRAINING, status: 'preparing' });
  await follow((report) => engine().train(plan, report));
}

export async function resume(model: string): Promise<void> {
  if (busy()) return;
  const state = trainingState.get();
  const same = state.model === model;
  forgetModel(model);
  trainingState.set({ ...(same ? state : NOT_TRAINING), model, status: 'preparing', outcome: null, error: null });
  await follow((report) => engine().resume(model, report));
}

export async function pause(): Promise<void> {
  trainingState.set({ status: 'pausing' });
  await engine().pause();
}

/** Reports how a training progressed while the tab was hidden. */
function watchHidden(): () => void {
  let since: { at: number; step: number } | null = null;
  const stepNow = () => trainingState.get().progress?.step ?? 0;
  const show = () => {
    if (!since) return;
    trainingState.set({ hidden: { seconds: (performance.now() - since.at) / 1000, steps: stepNow() - since.step } });
    since = null;
  };
  const look = () => {
    if (document.hidden) since = { at: performance.now(), step: stepNow() };
    else show();
  };
  document.addEventListener('visibilitychange', look);
  return () => {
    document.removeEventListener('visibilitychange', look);
    show(); // it may have ended meanwhile
  };
}

// ---- models, device ----

/** Opens a model for queries; items of the history that it knows are kept. */
export async function ask(id: string): Promise<void> {
  if (askState.get().id === id && (askState.get().model || !askState.get().error)) return;
  askState.set({ id, model: null, error: null, adapted: null });
  try {
    const model = await engine().openModel(id);
    if (askState.get().id !== id) return;
    const known = new Set(model.items.map((item) => item.id));
    askState.set({ model, history: askState.get().history.filter((item) => known.has(item)) });
  } catch (error) {
    if (askState.get().id === id) askState.set({ error: messageOf(error) });
  }
}

/** Adapts the open model to the visitor until `forget`. */
export async function adapt(history: readonly string[]): Promise<void> {
  askState.set({ adapted: await engine().personalize(history) });
}

export async function forget(): Promise<void> {
  await engine().forget();
  askState.set({ adapted: null });
}

/** Its weights change or are deleted: the next query opens it again. */
function forgetModel(id: string | null): void {
  if (id !== null && askState.get().id === id) askState.set({ id: null, model: null, error: null, adapted: null });
}

export async function deleteModel(id: string): Promise<void> {
  await engine().deleteModel(id);
  forgetModel(id);
  if (trainingState.get().model === id) trainingState.set(NOT_TRAINING);
  await refreshModels();
}

/** Stores a model from elsewhere in this browser. @returns its folder */
export async function importModel(source: File | File[] | FileSystemDirectoryHandle, name: string): Promise<string> {
  const id = await engine().importModel(source, name);
  await refreshModels();
  return id;
}

/** Downloads a model as one file. */
export async function exportModel(id: string, checkpoint: boolean): Promise<void> {
  const blob = await engine().exportModel(id, checkpoint);
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = `${id}.attune`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export async function refreshModels(): Promise<void> {
  try {
    appState.set({ models: await engine().models(), modelsError: null });
  } catch (error) {
    appState.set({ models: [], modelsError: messageOf(error) });
  }
}

export async function refreshDevice(): Promise<void> {
  try {
    appState.set({ device: await engine().device() });
  } catch {
    // What uses the device says so.
  }
}
