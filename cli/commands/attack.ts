/** `attune attack`: what injected profiles do to the lists of honest users, and what a guard undoes. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { InputError } from '../../data/errors.ts';
import { attack, type AttackResult, type Impact, type Training, TRAININGS } from '../../train/attack/attack.ts';
import { injectProfiles } from '../../train/attack/profiles.ts';
import { checkOptions } from '../../train/plan.ts';
import { onInterrupt, openDevice, Output } from '../common.ts';
import { InterruptedError, UsageError } from '../errors.ts';
import { columnsOf, readIds } from '../input/data.ts';
import { logCsv } from '../output/log-csv.ts';
import { createProgress, formatCount, formatMetric, printable, table } from '../output/ui.ts';
import { openTrainingSource, withRows } from '../training.ts';
import type { AttackFlags } from './attack.flags.ts';

export async function runAttack(flags: AttackFlags): Promise<void> {
  const output = new Output(flags.json);
  const { recipe, protocol, epochs, minInteractions, minRating, includeSeen, seed, item, kind, size, out } = flags;
  if (flags.segment !== undefined && kind !== 'segment') throw new UsageError('--segment: is for --kind segment');
  const training = {
    recipe,
    settings: Object.fromEntries(flags.set),
    protocol,
    epochs,
    minInteractions,
    minRating,
    includeSeen,
    seed,
  };
  checkOptions(training);
  if (out !== undefined && existsSync(out) && !flags.overwrite)
    throw new InputError('already-exists', `${out}: already there`, { hint: 'add --overwrite to replace it' });
  const segment = flags.segment === undefined ? undefined : [...(await readIds(flags.segment))];
  const source = withRows(await openTrainingSource(flags, columnsOf(flags)));
  const shortest = Math.max(5, minInteractions);
  const profiles = { item, kind, size, seed, segment, shortest };
  if (out !== undefined) await writeFile(out, logCsv(injectProfiles(source.log, profiles).log));
  const device = await openDevice(flags.device, output);
  const bar = createProgress({ total: 1000, force: flags.progress });
  const interrupt = onInterrupt(() => process.stderr.write('\nattune: stopping (Ctrl-C again stops at once)\n'));
  try {
    const { guard, control, maxMinutes } = flags;
    const result = await attack(source, {
      ...profiles,
      device,
      training,
      guard,
      control,
      maxMinutes,
      signal: interrupt.signal,
      onProgress: (phase, done) => bar.update(Math.round(1000 * done), { phase }),
    });
    bar.stop();
    output.object({ protocol: protocol.name, seen: includeSeen ? 'kept' : 'excluded', size, seed, ...result });
    report(result, flags, output);
  } catch (error) {
    if (interrupt.signal.aborted) throw new InterruptedError('stopped; an attack keeps nothing: start it again');
    throw error;
  } finally {
    interrupt.end();
    bar.stop();
    device.close();
  }
}

function report(result: AttackResult, { kind, includeSeen }: AttackFlags, out: Output): void {
  const { item, profiles, users, without, events, detector, guard, components } = result;
  out.line(
    `\n${formatCount(profiles)} profiles of the kind ${kind} push ${printable(item)}: ${formatCount(events.clean)} training events, ${formatCount(events.attacked)} with them. ` +
      `Lists of ten for ${formatCount(users)} honest users, ${formatCount(without)} of whom lack the item; seen items ${includeSeen ? 'kept' : 'excluded'}.`,
  );
  const rows = Object.entries(components).flatMap(([component, trainings]) =>
    Object.entries(trainings).map(([training, impact]) => rowOf(component, training as Training, impact)),
  );
  out.line(table(['', 'training', 'item in list', 'its rank', 'NDCG@10', 'HR@10', 'list kept'], rows));
  for (const name of new Set(Object.values(components).flatMap((trainings) => Object.keys(trainings) as Training[])))
    out.line(`  ${name.padEnd(10)}${TRAININGS[name]}`);
  const changes = Object.entries(components).flatMap(([component, trainings]) =>
    Object.entries(trainings).flatMap(([training, { change }]) => {
      if (!change) return [];
      const { targetHitRate: hit, 'NDCG@10': ndcg } = change;
      return [[component, training, signed(hit), span(hit), signed(ndcg), span(ndcg)]];
    }),
  );
  out.line(
    `\nChange from the clean model, paired by user, with 95 % limits\n${table(['', 'training', 'item in list', '', 'NDCG@10', ''], changes)}`,
  );
  const { AUC, recallAt1, leftOut, users: known } = detector;
  out.line(
    `\nThe detector, without labels: AUC ${formatMetric(AUC)}, ${percent(recallAt1)} of the profiles found at 1 % of the honest users; the guard ${guard ? 'left' : 'would leave'} out ` +
      `${formatCount((guard ?? leftOut).injected)} of ${formatCount(known.injected)} profiles and ${formatCount((guard ?? leftOut).honest)} of ${formatCount(known.honest)} honest users.`,
  );
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const signed = ({ mean }: { mean: number }): string => `${mean < 0 ? '-' : '+'}${formatMetric(Math.abs(mean))}`;
const span = ({ low, high }: { low: number; high: number }): string => `${low.toFixed(4)} to ${high.toFixed(4)}`;

const rowOf = (component: string, training: Training, impact: Impact): string[] => [
  component,
  training,
  formatMetric(impact.targetHitRate),
  impact.targetRank.toFixed(0),
  formatMetric(impact['NDCG@10']),
  formatMetric(impact['HR@10']),
  impact.overlap ? percent(impact.overlap.mean) : '',
];
