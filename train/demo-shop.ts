/** The built-in demo shop as events and items, for examples and first steps. */
import { makeShop, type ShopOptions } from '../data/demo-shop/shop.ts';
import type { TrainingEvent, TrainingItem } from './events.ts';

/** Purchases of invented shoppers, oldest first, and what was sold: titles, category, brand, price. */
export function demoShop(options: ShopOptions = {}): { events: TrainingEvent[]; items: TrainingItem[] } {
  const { log, items } = makeShop(options);
  const events = Array.from({ length: log.size }, (_, i) => ({
    user: log.userIds[log.user[i]],
    item: log.itemIds[log.item[i]],
    time: log.time?.[i],
  }));
  return { events, items: Array.from(items, ([id, { title, attributes }]) => ({ id, title, attributes })) };
}
