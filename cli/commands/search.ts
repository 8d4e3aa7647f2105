/** `attune search`: tries settings of a recipe within a budget of time, and ends with the command to train the best. */
import type { SearchFlags } from './search.flags.ts';
import path from 'node:path';
import { InputError } from '../../data/errors.ts';
import {
  describeProtocol,
  describeTask,
  describeTime,
  LEAVE_ONE_OUT,
  protocolFlag,
} from '../../data/splits/protocol.ts';
import { loadCheckpoint } from '../../model/storage/checkpoint.ts';
import { holdsConfig } from '../../model/storage/folder.ts';
import { validatedAt } from '../../model/recipes/derived.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { LOCK_NAME, lockFolder } from '../../recommend/sources/lock.node.ts';
import {
  drawSettings,
  type Halving,
  type TrialJob,
  openJobs,
  type Ranges,
  rangesFor,
  standings,
  type Trial,
} from '../../train/search/search.ts';
import { checkOptions, planTraining, type RankingPlan } from '../../train/plan.ts';
import { commandName, openDevice, Output, say, shellWord } from '../common.ts';
import { columnsOf } from '../input/data.ts';
import { readJson } from '../input/json.ts';
import { SharedWork } from '../shared-work.ts';
import { InterruptedError } from '../errors.ts';
import { openTrainingSource, trainWithProgress } from '../training.ts';
import { formatCount, formatDuration, formatMetric, printable, table } from '../output/ui.ts';

const STATE = 'search.json';
const ETA = 3;

/** What search.json holds: the terms, and all that happened so far. */
interface State {
  formatVersion: 1;
  /** Two searches with the same terms try the same settings. */
  terms: Record<string, unknown>;
  /** Of training, over all resumptions. */
  seconds: number;
  trials: Trial[];
}

/** How a trial came out: it has an outcome or a failure, or there was no time for it, or Ctrl-C. */
type Ended = 'measured' | 'time' | 'interrupted';

/** What trains trials: this process, one after the other, or workers. */
interface Runner {
  /** Trials at a time. */
  width: number;
  /** @param deadline `performance.now()` */
  run(search: Search, job: TrialJob, deadline: number): Promise<Ended>;
  close(): Promise<void>;
}

/** What all trials share. */
interface Search {
  flags: SearchFlags;
  runner: Runner;
  /** With the settings that no trial changes. */
  plan: RankingPlan;
  ranges: Ranges;
  halving: Halving;
  state: State;
  files: NodeFiles;
  out: Output;
}

export async function runSearch(flags: SearchFlags): Promise<void> {
  const started = performance.now();
  const out = new Output(flags.json);
  const fixed = Object.fromEntries(flags.set);
  if (flags.protocol.name === 'cold-items') {
    throw new InputError('unsupported', `${flags.data}: search does not work with the protocol cold-items`);
  }
  const settings = checkOptions({ recipe: flags.recipe, settings: fixed, epochs: flags.epochs });
  const both = [...flags.range.keys()].find((key) => flags.set.has(key));
  if (both !== undefined)
    throw new InputError('conflicting-settings', `--set ${both}: has a --range as well`, { hint: 'give one of them' });
  const ranges = rangesFor(settings, flags.set.keys(), Object.fromEntries(flags.range));
  for (const key of flags.range.keys()) {
    if (!Object.hasOwn(settings, key)) {
      throw new InputError(
        'invalid-value',
        `--range ${key}: unknown setting; there is ${Object.keys(settings).join(', ')}`,
      );
    }
  }
  if (Object.keys(ranges).length === 0) {
    throw new InputError('conflicting-settings', 'nothing is left to search over: every setting is fixed by --set', {
      hint: 'leave some out',
    });
  }
  const halving = { trials: flags.trials, epochs: flags.epochs, eta: ETA };
  const terms = termsOf(flags, ranges, halving);
  const files = await NodeFiles.create(flags.out);
  // Refused before the log is read, which may take long.
  await openState(files, terms, flags.out);
  const source = await openTrainingSource(flags, columnsOf(flags));
  const { recipe, protocol, minInteractions, minRating, includeSeen, seed } = flags;
  const plan = planTraining(source, {
    recipe,
    settings: fixed,
    protocol,
    minInteractions,
    minRating,
    includeSeen,
    seed,
  });
  say(plan, out);

  const lock = await lockFolder(flags.out);
  const runner = flags.queue === undefined ? await ownRunner(flags, out) : await sharedRunner(flags.queue, flags, out);
  try {
    const state = await openState(files, terms, flags.out);
    const search = { flags, runner, plan, ranges, halving, state, files, out };
    if (state.trials.length > 0) {
      out.note(
        `${flags.out}: continues after ${formatDuration(state.seconds)} and ${formatCount(state.trials.length)} trials`,
      );
    }
    await runJobs(search, started);
    report(search);
  } finally {
    await runner.close();
    await lock.release();
  }
}

/** What must be the same for a search to continue. */
function termsOf(flags: SearchFlags, ranges: Ranges, halving: Halving): Record<string, unknown> {
  const { data, recipe, protocol, minInteractions, minRating, includeSeen, seed, items } = flags;
  return {
    data,
    items: items ?? null,
    recipe,
    protocol: protocolFlag(protocol),
    minInteractions,
    minRating: minRating ?? null,
    seen: includeSeen ? 'kept' : 'excluded',
    seed,
    set: Object.fromEntries(flags.set),
    ranges,
    ...halving,
  };
}

/** @throws InputError where the folder holds another search, or none of ours */
async function openState(files: NodeFiles, terms: Record<string, unknown>, dir: string): Promise<State> {
  const state = await readJson<State>(files, STATE, 'choose another --out');
  if (!state) {
    if ((await files.list()).some((name) => name !== LOCK_NAME)) {
      throw new InputError('already-exists', `${dir}: holds files but no search`, {
        hint: 'choose an empty or new folder',
      });
    }
    return { formatVersion: 1, terms, seconds: 0, trials: [] };
  }
  const key = Object.keys(terms).find((name) => JSON.stringify(terms[name]) !== JSON.stringify(state.terms[name]));
  if (key !== undefined) {
    const [was, is] = [state.terms[key], terms[key]].map((value) => JSON.stringify(value));
    throw new InputError('mismatched-data', `${dir}: holds a search started with another ${key} (${was}, not ${is})`, {
      hint: 'choose another --out, or continue with the same',
    });
  }
  return state;
}

/** Trains until the budget is used up; the state is saved after every metric. */
async function runJobs(search: Search, started: number): Promise<void> {
  const { flags, state, halving, files } = search;
  const before = state.seconds;
  const spent = () => before + (performance.now() - started) / 1000;
  const save = () => {
    state.seconds = spent();
    return files.write(STATE, `${JSON.stringify(state, null, 1)}\n`);
  };
  const draw = (id: number) =>
    drawSettings(search.ranges, flags.seed, id, (set) =>
      settingsFor(flags.recipe, { ...Object.fromEntries(flags.set), ...set }),
    );
  const deadline = started + (flags.budget - before) * 1000;
  // The clock ends the search; which jobs come next follows from metrics alone.
  const running = new Map<number, Promise<[id: number, ended: Ended]>>();
  for (;;) {
    for (const job of spent() < flags.budget ? openJobs(state.trials, halving, draw) : []) {
      if (running.size >= search.runner.width) break;
      const { id } = job.trial;
      if (running.has(id)) continue;
      if (id === state.trials.length) {
        state.trials.push(job.trial);
        await save();
      }
      const ended = search.runner.run(search, job, deadline).then((how): [number, Ended] => [id, how]);
      ended.catch(() => {}); // where another one fails first
      running.set(id, ended);
    }
    if (running.size === 0) break;
    const [id, ended] = await Promise.race(running.values());
    running.delete(id);
    await save();
    if (ended === 'interrupted') {
      throw new InterruptedError(
        `stopped; everything is saved in ${flags.out}; the same command continues it${state.trials.length > 0 ? ` (${formatCount(state.trials.length)} trials so far)` : ''}`,
      );
    }
  }
}

const folderOf = ({ id }: Trial): string => `trial-${String(id).padStart(3, '0')}`;

/** Trains a trial up to its next rung here, from its checkpoint where it has one. */
async function ownRunner(flags: SearchFlags, out: Output): Promise<Runner> {
  const device = await openDevice(flags.device, out);
  return {
    width: 1,
    async run(search, job, deadline) {
      const trial = search.state.trials[job.trial.id];
      const files = await NodeFiles.create(path.join(flags.out, folderOf(trial)));
      const resume = (await holdsConfig(files)) && (await loadCheckpoint(files)) !== null;
      try {
        const own = search.plan.withSettings(settingsOf(flags, trial), { epochs: job.epochs, resume });
        const limits = { deadline, overwrite: true, progress: flags.progress };
        const { result } = await trainWithProgress(device, own, files, limits);
        if (result.reason === 'interrupted' || result.reason === 'time') return result.reason;
        measured(search, job, result.bestNdcg);
      } catch (error) {
        // A setting that diverges, or does not fit the device, is an answer, too. Anything else is not.
        const message = (error as Error).message;
        if (!(error instanceof InputError) && !message.startsWith('training: ')) throw error;
        failed(search, job, message);
      }
      return 'measured';
    },
    close: async () => device.close(),
  };
}

/** Asks workers for the same; all of a rung at once. */
async function sharedRunner(address: string, flags: SearchFlags, out: Output): Promise<Runner> {
  const shared = await SharedWork.open(address, out, flags.progress);
  return {
    width: Number.POSITIVE_INFINITY,
    async run(search, job, deadline) {
      const trial = search.state.trials[job.trial.id];
      const folder = path.join(flags.out, folderOf(trial));
      const epochs = ['--epochs', String(job.epochs)];
      const result = await shared.run({
        title: `trial ${trial.id}, ${formatCount(job.epochs)} epochs`,
        words: [...trainWords(flags, settingsOf(flags, trial), folder), '--overwrite', ...epochs],
        resume: {
          folder,
          words: ['train', '--resume', '--out', folder, ...epochs],
          part: 'checkpoint.safetensors',
        },
        until: Date.now() + (deadline - performance.now()),
      });
      if (!result) return 'interrupted';
      if (result.kind === 'late') return 'time';
      if (result.kind === 'refused') failed(search, job, result.reason);
      else {
        const { reason, metrics } = result.output as { reason: string; metrics: Record<string, number> | null };
        if (reason === 'time') return 'time';
        measured(search, job, metrics?.['NDCG@10'] ?? null);
      }
      return 'measured';
    },
    close: () => shared.close(),
  };
}

/** Trials are judged by the encoder alone: item transitions are the same for all of them. */
const settingsOf = (flags: SearchFlags, trial: Trial): Record<string, string> => ({
  memory: 'off',
  ...Object.fromEntries(flags.set),
  ...trial.set,
});

function measured({ state, out }: Search, { trial: { id }, epochs }: TrialJob, ndcg: number | null): void {
  const trial = state.trials[id];
  trial.outcomes.push({ epochs, ndcg });
  const until = `${formatCount(epochs)} ${epochs === 1 ? 'epoch' : 'epochs'}`;
  out.note(`trial ${id} (${describe(trial)}): NDCG@10 ${formatMetric(ndcg)} after ${until}`);
}

function failed({ state, out }: Search, { trial: { id } }: TrialJob, message: string): void {
  const trial = state.trials[id];
  trial.failure = message;
  out.warn(`trial ${id} (${describe(trial)}) failed: ${message}`);
}

const describe = ({ set }: Trial): string => {
  const drawn = Object.entries(set).map(([key, value]) => `${key}=${value}`);
  return drawn.length > 0 ? drawn.join(' ') : "the recipe's own settings";
};

/** Trials in the table. */
const SHOWN = 15;

function report({ flags, state, plan, ranges, out }: Search): void {
  const { split } = plan;
  const users = plan.validationUsers.length;
  const ranked = standings(state.trials);
  const [best] = ranked;
  const command = best && trainCommand(flags, best.trial);
  const seen = flags.includeSeen ? 'kept' : 'excluded';
  out.object({
    protocol: split.protocol.name,
    protocolParameters: split.protocol.parameters,
    split: 'valid',
    seen,
    users,
    seconds: state.seconds,
    ranges,
    trials: state.trials.map((trial) => ({ ...trial, model: path.join(flags.out, folderOf(trial)) })),
    best: best ? { id: best.trial.id, 'NDCG@10': best.ndcg, epochs: best.epochs, set: best.trial.set, command } : null,
  });
  if (!best) {
    out.line(
      `The budget ended before the first trial had a metric; the same command with a larger --budget than ${formatDuration(flags.budget)} continues it.`,
    );
    return;
  }
  out.line(
    `\n${formatCount(ranked.length)} trials in ${formatDuration(state.seconds)}, by validation: ${describeTask(split.protocol, 'valid', split.items)}, ` +
      `seen items ${seen}, ${formatCount(users)} users; protocol ${describeProtocol(split.protocol)}; ${describeTime(validatedAt(plan.settings))}`,
  );
  const keys = Object.keys(ranges);
  out.line(
    table(
      ['trial', 'NDCG@10', 'epochs', ...keys],
      ranked
        .slice(0, SHOWN)
        .map(({ trial, ndcg, epochs }) => [
          String(trial.id),
          formatMetric(ndcg),
          String(epochs),
          ...keys.map((key) => trial.set[key] ?? 'own'),
        ]),
    ),
  );
  const rest = ranked.length - SHOWN;
  if (rest > 0) out.line(`… and ${formatCount(rest)} more in ${printable(flags.out)}/${STATE}`);
  out.line(
    '\nChosen by validation: a little of its lead is luck, which the test does not share. To train the best one to its end:',
  );
  out.line(`  ${command}`);
  out.line(
    `or continue the one there is: ${commandName()} train --resume --out ${shellWord(path.join(flags.out, folderOf(best.trial)))}`,
  );
}

/** The command that trains such a model from scratch. */
function trainCommand(flags: SearchFlags, { set }: Trial): string {
  const words = trainWords(flags, { ...Object.fromEntries(flags.set), ...set }, 'best-model');
  return `${commandName()} ${words.map(shellWord).join(' ')}`;
}

function trainWords(flags: SearchFlags, set: Readonly<Record<string, string>>, out: string): string[] {
  const words = ['train', '--data', flags.data, '--out', out, '--recipe', flags.recipe];
  if (flags.items !== undefined) words.push('--items', flags.items);
  if (protocolFlag(flags.protocol) !== LEAVE_ONE_OUT.name) words.push('--protocol', protocolFlag(flags.protocol));
  if (flags.minInteractions !== 5) words.push('--min-interactions', String(flags.minInteractions));
  if (flags.minRating !== undefined) words.push('--min-rating', String(flags.minRating));
  if (flags.maxBadRows > 0) words.push('--max-bad-rows', String(flags.maxBadRows));
  for (const [role, name] of Object.entries(columnsOf(flags)))
    words.push(role === 'all' ? '--columns' : `--${role}-column`, name);
  for (const [key, value] of Object.entries(set)) words.push('--set', `${key}=${value}`);
  if (flags.includeSeen) words.push('--include-seen');
  words.push('--seed', String(flags.seed));
  return words;
}
