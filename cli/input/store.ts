/** The store of `attune serve`, filled from files: the log, items and users that a model was trained on. */
import { loadConfig } from '../../model/storage/config.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import { importLog, importState } from '../../server/store/import.ts';
import type { Store } from '../../server/store/store.ts';
import type { Output } from '../common.ts';
import { createProgress, formatCount } from '../output/ui.ts';
import { type ColumnFlags, columnsOf, openItems, openLog } from './data.ts';
import { contextOf, openUsers } from './side-features.ts';

export interface FillFlags extends ColumnFlags {
  model: string;
  data: string;
  items?: string;
  users?: string;
  maxBadRows: number;
  progress?: boolean;
}

/** Fills a store unless it is filled. @throws InputError */
export async function fillStore(store: Store, flags: FillFlags, out: Output): Promise<void> {
  const { data, items, users, maxBadRows, progress } = flags;
  const state = await importState(store);
  if (state === 'filled') {
    out.warn(`the store has events, users or items already: nothing was read from ${data}`);
    return;
  }
  if (state === 'interrupted') out.warn(`the import of ${data} was interrupted: continuing`);
  const config = await loadConfig(await openPath(flags.model));
  const { minRating } = config.data;
  const infos = items === undefined ? null : await openItems(items);
  const known = users === undefined ? null : await openUsers(users);
  const columns = columnsOf(flags, config.schema.columns);
  const log = await openLog(data, { columns, context: contextOf(config), maxBadRows }, progress);
  const bar = createProgress({ total: log.size, force: progress });
  try {
    const events = await importLog(store, { log, items: infos, users: known, minRating }, (rows) =>
      bar.update(rows, { phase: 'filling the store' }),
    );
    const left = log.size - events;
    out.warn(
      `${formatCount(events)} events are in the store${left > 0 ? `; ${formatCount(left)} rows with a rating below ${minRating} were left out, as in training` : ''}`,
    );
  } finally {
    bar.stop();
  }
}
