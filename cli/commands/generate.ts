/** `attune generate`: a history continued by several items, one after another. */
import type { GenerateFlags } from './generate.flags.ts';
import { Recommender } from '../../recommend/recommender.ts';
import type { Continuation } from '../../recommend/types.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import { openDevice, Output } from '../common.ts';
import { idsOf, parseIds, warnOfUnknownIds } from '../input/post-processing.ts';
import { decodeOptions } from '../flags/decoding.ts';
import { checkHistory } from '../input/history.ts';
import { warnOfUnknown, queryUserOf } from './recommend.ts';
import { formatCount, printable, table } from '../output/ui.ts';

export async function runGenerate(flags: GenerateFlags): Promise<void> {
  const out = new Output(flags.json);
  checkHistory(flags);
  const files = await openPath(flags.model);
  const given = flags.history === undefined ? null : parseIds(flags.history, '--history');
  const exclude = flags.exclude === undefined ? [] : await idsOf(flags.exclude, '--exclude');
  const device = await openDevice(flags.device, out);
  try {
    const recommender = await Recommender.load(files, { device });
    const { config, weights } = recommender.loaded;
    if (weights.note) out.warn(weights.note);
    const { history, ...context } = await queryUserOf(flags, given, config, out);
    const { steps, includeSeen } = flags;
    const { unknown, ...answer } = await recommender.generate(history, {
      ...decodeOptions(flags),
      steps,
      exclude,
      includeSeen,
      ...context,
    });
    warnOfUnknown(unknown, history.length, out);
    warnOfUnknownIds('--exclude', exclude, new Set(recommender.items.map((item) => item.id)), out);
    out.object({ ...answer, unknown, decode: flags.decode, seen: includeSeen ? 'kept' : 'excluded' });
    for (const [i, beam] of (answer.beams ?? [answer]).entries()) {
      if (answer.beams)
        out.line(`${i === 0 ? '' : '\n'}Beam ${i + 1}, log probability ${beam.logProbability.toFixed(3)}:`);
      out.line(list(beam));
    }
    if (answer.items.length < steps) {
      out.note(`${formatCount(answer.items.length)} of ${formatCount(steps)}: no more items are left in the catalog`);
    }
    recommender.close();
  } finally {
    device.close();
  }
}

function list({ items }: Continuation): string {
  const titled = items.some(({ id, title }) => id !== title);
  const rows = items.map(({ id, title, logProbability }, i) => {
    const [position, probability] = [`${i + 1}.`, Math.exp(logProbability).toFixed(4)];
    return titled ? [position, printable(title), probability, printable(id)] : [position, printable(id), probability];
  });
  return table(titled ? ['', 'title', 'probability', 'id'] : ['', 'id', 'probability'], rows);
}
