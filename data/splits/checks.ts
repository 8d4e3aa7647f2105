/** Checks that a split can be learned from, and that an evaluation is of unseen targets. */
import { InputError, option } from '../errors.ts';
import type { Protocol } from './protocol.ts';
import type { HeldOutPart, Split } from './split.ts';

/** What a user's history must hold to have targets under a protocol, for messages. */
export function requiredHistory({ name, parameters }: Protocol): string {
  if (name === 'last-n') return `${2 * Number(parameters.n) + 2} interactions`;
  if (name === 'cold-items') return 'an interaction with a cold item and one with another';
  return name === 'temporal' ? 'an interaction after the cut in time and one before it' : 'three interactions';
}

/**
 * Refuses what no sequence model can learn from.
 *
 * @throws InputError when the catalog has one item, or no history holds two training events
 */
export function requireTrainable(split: Split, source: string): void {
  if (split.items < 2) {
    throw new InputError('too-little-data', `${source}: only one item is left, so there is nothing to choose from`, {
      hint: 'give a larger log',
    });
  }
  if (split.trainPositions() === 0) {
    const kept =
      split.protocol.name === 'cold-items'
        ? 'cold items do not train'
        : split.protocol.name === 'temporal'
          ? 'what comes after the cuts in time is kept for validation and test'
          : 'the last of three or more are kept for validation and test';
    throw new InputError('too-little-data', `${source}: no user has two interactions to train on (${kept})`, {
      hint: 'give longer histories',
    });
  }
}

/**
 * Refuses an evaluation whose targets a model may have memorized: trained (or, for the test part, chosen by validation) on
 * what it is asked to predict, or on events after a cut in time.
 *
 * @param trained the log under the model's own protocol
 * @param evaluated the same log under the protocol of the evaluation
 * @throws InputError, one line, with what to do
 */
export function requireUnseen(trained: Split, evaluated: Split, part: HeldOutPart, model: string): void {
  const was = trained.protocol.name;
  const now = evaluated.protocol.name;
  let targets = 0;
  let known = 0;
  let future = 0;
  const { clock } = evaluated.dataset;
  const cut = Number(evaluated.protocol.parameters[part === 'valid' ? 'validFrom' : 'testFrom'] ?? Number.NaN);
  for (let u = 0; u < evaluated.users; u++) {
    const [from, to] = evaluated.targetRange(u, part);
    const [validFrom, validTo] = trained.targetRange(u, 'valid');
    const used = part === 'test' && validTo > validFrom ? validTo : trained.trainLength(u);
    targets += to - from;
    known += Math.max(0, Math.min(to, used) - from);
    if (clock && now === 'temporal') {
      const [first] = evaluated.range(u);
      for (const time of clock.subarray(first, first + trained.trainLength(u))) if (time >= cut) future++;
    }
  }
  if (known === 0 && future === 0) return;
  const leak =
    known > 0
      ? `its training or validation part holds ${known.toLocaleString('en')} of the ${targets.toLocaleString('en')} ${part} targets`
      : `its training part holds ${future.toLocaleString('en')} interactions from after the cut in time`;
  throw new InputError('trained-on', `${model}: trained under ${was}, and ${leak} of ${now}`, {
    hint: `evaluate it with ${option('protocol', was)}, or train one with ${option('protocol', now)}`,
  });
}
