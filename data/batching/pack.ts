/** Which windows share a batch. */

/** How many windows ahead the packer looks for one that fits what is still free. */
const LOOK_AHEAD = 128;

/** What a window takes, by its number, of a budget; one window fits it. */
export interface Capacity {
  length: Uint32Array;
  maxTokens: number;
}

/**
 * Reorders `order` in place so that each run order[bounds[b] … bounds[b + 1]) fits every room's budget: windows in turn,
 * and once the next does not fit, the largest (in the first room) that does among the LOOK_AHEAD that follow, until none
 * does.
 */
export function pack(order: Uint32Array, rooms: readonly Capacity[]): number[] {
  const bounds = [0];
  const [{ length }] = rooms;
  let free = rooms.map(({ maxTokens: budget }) => budget);
  const fits = (window: number): boolean => rooms.every((room, i) => room.length[window] <= free[i]);
  for (let at = 0; at < order.length; ) {
    let pick = -1;
    if (fits(order[at])) pick = at;
    else if (free[0] > 0) {
      for (let i = at + 1; i < Math.min(order.length, at + LOOK_AHEAD); i++) {
        if (fits(order[i]) && (pick < 0 || length[order[i]] > length[order[pick]])) pick = i;
      }
    }
    if (pick < 0) {
      bounds.push(at);
      free = rooms.map(({ maxTokens: budget }) => budget);
      continue;
    }
    const chosen = order[pick];
    order.copyWithin(at + 1, at, pick);
    order[at++] = chosen;
    free = free.map((left, i) => left - rooms[i].length[chosen]);
  }
  if (order.length > 0) bounds.push(order.length);
  return bounds;
}
