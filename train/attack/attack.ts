/** An attack on a log, tried out: trained with and without injected profiles, and what that does to honest users' lists. */
import { InputError, option } from '../../data/errors.ts';
import type { Split } from '../../data/splits/split.ts';
import type { Device, DeviceOptions } from '../../engine/index.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { countItems } from '../baselines/baselines.ts';
import { bootstrap, type Interval, paired } from '../evaluation/statistics.ts';
import { openShared } from '../events.ts';
import { type PlanOptions, planTraining, type RankingPlan, type TrainingSource } from '../plan.ts';
import { areaUnderCurve } from '../ratings/metrics.ts';
import { runPlan } from '../run-plan.ts';
import { detectProfiles } from './detect.ts';
import { type Component, COMPONENTS, DEPTH, type Exposure, type Exposures, measure } from './measure.ts';
import { injectProfiles, type InjectionOptions } from './profiles.ts';

/** In this order; `clean` and `attacked` always. */
export const TRAININGS = {
  clean: 'the log as it is',
  control: 'the log as it is, with the next seed: what chance alone changes',
  attacked: 'with the injected profiles',
  guarded: 'with the injected profiles, and a guard',
} as const;
export type Training = keyof typeof TRAININGS;

export interface AttackOptions extends InjectionOptions {
  /** A device to share, which stays open; or which one to open. */
  device?: Device | DeviceOptions['backend'];
  /** Of all trainings alike. */
  training?: PlanOptions;
  /** Train with the guard, too. */
  guard?: boolean;
  /** Train on the clean log with another seed, too. */
  control?: boolean;
  /** In total, divided among the trainings. */
  maxMinutes?: number;
  signal?: AbortSignal;
  /** @param done 0 to 1 */
  onProgress?(what: string, done: number): void;
}

/** Of a component of a model, on honest users. */
export interface Impact {
  /** Share of the users without the item whose list of ten has it. */
  targetHitRate: number;
  /** Its mean rank among the candidates. */
  targetRank: number;
  'NDCG@10': number;
  'HR@10': number;
  /** Items of the list of ten that the clean model's list has, too, as a share; absent for that model itself. */
  overlap?: Interval;
  /** Differences from the clean model, paired by user; absent for that model itself. */
  change?: Record<'targetHitRate' | 'targetRank' | 'NDCG@10', Interval & { p: number }>;
}

export interface AttackResult {
  item: string;
  kind: InjectionOptions['kind'];
  profiles: number;
  /** Honest users whose lists are compared, and those of them who lack the item. */
  users: number;
  without: number;
  /** Training events of the item in the clean log, and in the attacked one. */
  events: { clean: number; attacked: number };
  /** How well the detector (train/attack/detect.ts) tells injected profiles from honest users. */
  detector: Detection;
  /** What the guard left out; null without one. */
  guard: { injected: number; honest: number } | null;
  components: Partial<Record<Component, Partial<Record<Training, Impact>>>>;
}

export interface Detection {
  /** Area under the ROC curve. */
  AUC: number;
  /** Share of the injected profiles that score higher than 99 % of the honest users. */
  recallAt1: number;
  /** Users whom the guard would leave out. */
  leftOut: { injected: number; honest: number };
  /** Users with training events. */
  users: { injected: number; honest: number };
}

/** @throws InputError where the log lacks the item, or a training could not be compared */
export async function attack(source: TrainingSource, options: AttackOptions): Promise<AttackResult> {
  const { training = {}, item, kind } = options;
  requireComparable(training);
  const shortest = Math.max(5, training.minInteractions ?? 0);
  const injected = injectProfiles(source.log, { shortest, ...options });
  const more = { ...source, log: injected.log };
  const guard = { ...training, settings: { ...training.settings, guard: 'on' } };
  const clean = planTraining(source, training);
  const attacked = planTraining(more, training);
  const plans: [Training, RankingPlan][] = [['clean', clean]];
  if (options.control) plans.push(['control', planTraining(source, { ...training, seed: (training.seed ?? 1) + 1 })]);
  plans.push(['attacked', attacked]);
  const defended = options.guard ? planTraining(more, guard) : null;
  if (defended) plans.push(['guarded', defended]);

  const users = comparable(clean.split, attacked.split);
  if (users.length === 0)
    throw new InputError('too-little-data', `${source.name}: no honest user has a test target`, {
      hint: 'give longer histories',
    });
  // Honest users whom the guard left out are recommended to like all others.
  const found = await exposures(
    plans.map(([name, plan]) => ({ name, plan, split: plan === defended ? attacked.split : plan.split })),
    users,
    options,
  );
  const events = (split: Split): number => countItems(split)[split.dataset.itemIds.indexOf(item)] ?? 0;
  const known = found.get('clean') as Exposures;
  const isInjected = new Set(injected.users);
  return {
    item,
    kind,
    profiles: injected.users.length,
    users: users.length,
    without: known.transformer.ranks.filter((rank) => !Number.isNaN(rank)).length,
    events: { clean: events(clean.split), attacked: events(attacked.split) },
    detector: detection(attacked.split, isInjected),
    guard: defended?.guard
      ? countBy(
          defended.guard.leftOut.map(({ user }) => user),
          isInjected,
        )
      : null,
    components: Object.fromEntries(
      COMPONENTS.flatMap((component) => {
        const of = [...found].flatMap(([name, { [component]: own }]) => (own ? [[name, own] as const] : []));
        return of.length === 0 ? [] : [[component, impacts(new Map(of), training.seed ?? 1)]];
      }),
    ),
  };
}

/** Trains each plan, and measures it on a split of the same catalog. */
async function exposures(
  plans: readonly { name: Training; plan: RankingPlan; split: Split }[],
  users: readonly string[],
  { device: given, training = {}, item, maxMinutes, signal, onProgress }: AttackOptions,
): Promise<Map<Training, Exposures>> {
  const { includeSeen = false } = training;
  const found = new Map<Training, Exposures>();
  const { device, close } = await openShared(given);
  try {
    for (const [i, { name, plan, split }] of plans.entries()) {
      const report = (share: number) => onProgress?.(`training: ${name}`, (i + share) / plans.length);
      report(0);
      const deadline = maxMinutes === undefined ? undefined : performance.now() + (60_000 * maxMinutes) / plans.length;
      const { files } = await runPlan(plan, {
        device,
        files: new MemoryFiles(name),
        deadline,
        signal,
        onProgress: ({ fraction }) => report(0.9 * fraction),
      });
      signal?.throwIfAborted();
      found.set(name, await measure(device, files, split, { users, item, includeSeen, signal }));
    }
  } finally {
    close();
  }
  return found;
}

/** What makes a training none that an attack is tried on. @throws InputError */
function requireComparable({ settings = {}, protocol }: PlanOptions): void {
  const refuse = (setting: string, value: string, why: string, hint: string) =>
    new InputError('conflicting-settings', why, { setting, value, hint });
  if (settings.guard === 'on')
    throw refuse(
      'settings.guard',
      'on',
      'would guard the attacked training, too',
      `name ${option('guard')} to compare both`,
    );
  if (settings.ranker === 'on')
    throw refuse('settings.ranker', 'on', 'the first stage alone is measured', 'leave it out');
  if (protocol && (protocol.name === 'cold-items' || protocol.name === 'final'))
    throw refuse('protocol', protocol.name, 'has no next item to compare lists by', 'name another protocol');
}

/** IDs of users who have the same test targets in both. */
function comparable(clean: Split, attacked: Split): string[] {
  const targets = ({ dataset }: Split, rows: Uint32Array) => Array.from(rows, (row) => dataset.itemIds[row]).join('\n');
  const rows = new Map(attacked.dataset.userIds.map((id, u) => [id, u]));
  return clean.dataset.userIds.filter((id, u) => {
    const own = targets(clean, clean.targets(u, 'test'));
    const other = rows.get(id);
    return own !== '' && other !== undefined && own === targets(attacked, attacked.targets(other, 'test'));
  });
}

const meanOf = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, x) => sum + x, 0) / values.length;

function impacts(exposures: ReadonlyMap<Training, Exposure>, seed: number): Partial<Record<Training, Impact>> {
  const clean = exposures.get('clean') as Exposure;
  // Users who lack the item in every log.
  const asked = Array.from(clean.ranks.keys()).filter((i) =>
    [...exposures.values()].every(({ ranks }) => !Number.isNaN(ranks[i])),
  );
  const ranksOf = ({ ranks }: Exposure) => Float64Array.from(asked, (i) => ranks[i]);
  const hitsOf = (exposure: Exposure) => ranksOf(exposure).map((rank) => Number(rank <= DEPTH));
  return Object.fromEntries(
    Array.from(exposures, ([name, own]) => {
      const impact: Impact = {
        targetHitRate: meanOf(hitsOf(own)),
        targetRank: meanOf(ranksOf(own)),
        'NDCG@10': meanOf(own['NDCG@10']),
        'HR@10': meanOf(own['HR@10']),
      };
      if (name !== 'clean' && asked.length > 0) {
        impact.overlap = bootstrap(
          own.lists.map((list, i) => shared(list, clean.lists[i])),
          seed,
        );
        impact.change = {
          targetHitRate: paired(hitsOf(own), hitsOf(clean), seed),
          targetRank: paired(ranksOf(own), ranksOf(clean), seed),
          'NDCG@10': paired(own['NDCG@10'], clean['NDCG@10'], seed),
        };
      }
      return [name, impact];
    }),
  );
}

/** Share of a list that is in another one, too. */
function shared(list: readonly string[], other: readonly string[]): number {
  const known = new Set(other);
  return list.filter((id) => known.has(id)).length / Math.max(1, list.length);
}

function countBy(users: readonly string[], isInjected: ReadonlySet<string>): { injected: number; honest: number } {
  const injected = users.filter((id) => isInjected.has(id)).length;
  return { injected, honest: users.length - injected };
}

/** How the detector does on a split of which it is known who was injected. */
export function detection(split: Split, isInjected: ReadonlySet<string>): Detection {
  const { score, injected: flagged } = detectProfiles(split);
  const { userIds } = split.dataset;
  const users = Array.from(userIds.keys()).filter((u) => split.trainLength(u) > 0);
  const labels = users.map((u) => Number(isInjected.has(userIds[u])));
  const scores = users.map((u) => score[u]);
  const honest = scores.filter((_, i) => labels[i] === 0).sort((a, b) => b - a);
  const least = honest[Math.floor(honest.length / 100)];
  const own = scores.filter((_, i) => labels[i] === 1);
  const leftOut = users.flatMap((u) => (flagged[u] ? [userIds[u]] : []));
  return {
    AUC: areaUnderCurve(labels, scores, own.length) ?? Number.NaN,
    recallAt1: own.filter((x) => x > least).length / own.length,
    leftOut: countBy(leftOut, isInjected),
    users: { injected: own.length, honest: honest.length },
  };
}
