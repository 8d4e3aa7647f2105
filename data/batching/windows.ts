/** The windows of an epoch, as columns: an object for each would take more memory than a large log has events. */
import { GrowableArray } from '../log.ts';

/** Window i has the tokens from `first[i]` on in `dataset.items`. */
export interface Windows {
  /** [windows] row of the user */
  user: Uint32Array;
  /** [windows] index of the first input in `dataset.items` */
  first: Uint32Array;
  /** [windows] inputs */
  tokens: Uint32Array;
  /** [windows] events that the window is made from; of a continuation, what is predicted */
  events: Uint32Array;
}

/** Window i. */
export const at = ({ user, first, tokens, events }: Windows, i: number): [number, number, number, number] => [
  user[i] as number,
  first[i] as number,
  tokens[i] as number,
  events[i] as number,
];

const column = () => new GrowableArray((n) => new Uint32Array(n));

/** Writes windows one after another. */
export class WindowWriter {
  length = 0;
  readonly #columns = { user: column(), first: column(), tokens: column(), events: column() };

  push(user: number, first: number, tokens: number, events: number): void {
    const columns = this.#columns;
    columns.user.push(user);
    columns.first.push(first);
    columns.tokens.push(tokens);
    columns.events.push(events);
    this.length++;
  }

  finish(): Windows {
    const { user, first, tokens, events } = this.#columns;
    return { user: user.finish(), first: first.finish(), tokens: tokens.finish(), events: events.finish() };
  }
}
