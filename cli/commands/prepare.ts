/** `attune prepare`: a log as a dataset that is read as it trains. */
import { contextNames } from '../../data/features/event-encoder.ts';
import { withoutSource } from '../../data/log.ts';
import { commandName, Output, shellWord } from '../common.ts';
import { columnsOf, nameOfLog } from '../input/data.ts';
import { expandPaths } from '../input/paths.ts';
import { prepareDataset } from '../input/prepared.ts';
import { eventNames } from '../input/side-features.ts';
import { formatCount, formatDuration, printable } from '../output/ui.ts';
import type { PrepareFlags } from './prepare.flags.ts';

export async function runPrepare(flags: PrepareFlags): Promise<void> {
  const started = performance.now();
  const output = new Output(flags.json);
  const { data, out, minInteractions, minRating, maxBadRows, overwrite, progress } = flags;
  const reading = { columns: columnsOf(flags), context: contextNames(eventNames(flags)), maxBadRows };
  const filter = { minInteractions, minRating };
  const report = await prepareDataset({ data, out, reading, filter, overwrite, progress });
  const name = nameOfLog(expandPaths(data), data);
  for (const line of report.lines) output.note(`${printable(name)}: ${printable(withoutSource(line, name))}`);
  const seconds = (performance.now() - started) / 1000;
  const { rows, users, items, interactions } = report;
  output.object({ data, out, rows, users, items, interactions, seconds });
  output.line(
    `\n${printable(out)}: the dataset of ${formatCount(rows)} rows, in ${formatDuration(seconds)}. Next:\n  ${commandName()} train --data ${shellWord(out)} --out my-model`,
  );
}
