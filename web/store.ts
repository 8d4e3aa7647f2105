/** A small store of state; components subscribe to parts of it. */
import { useEffect, useReducer, useRef } from 'preact/hooks';

export interface Store<T> {
  get(): T;
  /** Merges changes and notifies subscribers. */
  set(change: Partial<T>): void;
  subscribe(listener: () => void): () => void;
}

export function createStore<T extends object>(initial: T): Store<T> {
  let state = initial;
  const listeners = new Set<() => void>();
  return {
    get: () => state,
    set(change) {
      state = { ...state, ...change };
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Part of a store; the component renders again when that part is another value. */
export function useStore<T extends object, P>(store: Store<T>, part: (state: T) => P): P {
  const [, again] = useReducer((n: number) => n + 1, 0);
  const value = part(store.get());
  const shown = useRef(value);
  shown.current = value;
  const look = useRef(part);
  look.current = part;
  useEffect(() => {
    const check = () => {
      if (!Object.is(look.current(store.get()), shown.current)) again(0);
    };
    check();
    return store.subscribe(check);
  }, [store]);
  return value;
}
