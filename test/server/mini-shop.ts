/** A shop as small as it can be: everybody goes around the catalog, from item to item + step. */
import { Device } from '../../engine/index.ts';
import { NodeFiles } from '../../recommend/node.ts';
import { finalPlan, logOf, runPlan, trainModel } from '../../train/index.ts';

export const ITEMS = 20;
export const USERS = 40;

/** Events `from` to `to` of each user; times in seconds, from 2020 on. */
export const eventsOf = (step: number, from = 0, to = 9, prefix = 'i') =>
  Array.from({ length: USERS }, (_, u) =>
    Array.from({ length: to - from }, (_, t) => ({
      user: `u${u}`,
      item: `${prefix}${(u + (from + t) * step) % ITEMS}`,
      time: 1577836800 + from + t,
    })),
  ).flat();

/** The same as the server takes them. */
export const postable = (events: ReturnType<typeof eventsOf>) =>
  events.map((event) => ({ ...event, time: event.time * 1000 }));

/** Trains on nine events of each user. */
export async function trainInto(folder: string, step: number, seed = 1, prefix = 'i'): Promise<void> {
  const device = await Device.open({ backend: 'cpu' });
  await trainModel(eventsOf(step, 0, 9, prefix), {
    files: await NodeFiles.create(folder),
    recipe: 'sasrec',
    settings: { d: 8, ff: 16, blocks: 1, window: 8, budget: 128 },
    epochs: 1,
    minInteractions: 1,
    overwrite: true,
    seed,
    device,
  });
  device.close();
}

/** Trains like another model, on all events. */
export async function trainFinalInto(folder: string, like: string, events: ReturnType<typeof eventsOf>): Promise<void> {
  const device = await Device.open({ backend: 'cpu' });
  const plan = await finalPlan(await NodeFiles.open(like), { log: logOf(events, 'events', []), name: 'events' });
  await runPlan(plan, { device, files: await NodeFiles.create(folder), overwrite: true });
  device.close();
}
