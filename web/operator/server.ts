/** The server that the page came from: asked each second, with the key that the operator gave, which stays in memory. */
import { AttuneClient, AttuneError } from '../../client/index.ts';
import { createStore } from '../store.ts';

export type Status = Awaited<ReturnType<AttuneClient['getStatus']>>;
export type Second = Status['seconds'][number];

interface ServerState {
  /** null before the first answer. */
  status: Status | null;
  /** The last minutes, oldest first. */
  seconds: Second[];
  /** Why the server is not ready; '' where it is, null where it is not known. */
  unready: string | null;
  /** The server asks for a key; the words say why the one that was given is refused. */
  wantsKey: string | null;
  hasKey: boolean;
  /** Why there was no answer this time. */
  trouble: string | null;
}

export const serverState = createStore<ServerState>({
  status: null,
  seconds: [],
  unready: null,
  wantsKey: null,
  hasKey: false,
  trouble: null,
});

/** The server may be under a path, behind a proxy. */
const url = new URL('.', location.href).href;
let client = new AttuneClient({ url });

/** What the page asks with now. */
export const server = (): AttuneClient => client;

/** Milliseconds between two questions. */
const PERIOD = 1000;
const KEPT = 300;

let wake = () => {};

export function setKey(key: string | null): void {
  client = new AttuneClient(key === null ? { url } : { url, key });
  serverState.set({ hasKey: key !== null, wantsKey: null, status: null, seconds: [], trouble: null });
  wake();
}

/** Asks as long as the page is open, and pauses while nobody sees it. */
export async function watch(): Promise<void> {
  document.addEventListener('visibilitychange', () => wake());
  for (;;) {
    const wait = document.hidden ? Number.POSITIVE_INFINITY : await once();
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (wait < Number.POSITIVE_INFINITY) setTimeout(resolve, wait);
    });
  }
}

/** @returns milliseconds until it may ask again; infinite where only a key helps */
async function once(): Promise<number> {
  const asked = client;
  try {
    await readiness();
    const since = serverState.get().seconds.at(-1)?.time ?? 0;
    const status = await asked.getStatus({ since });
    if (asked !== client) return 0;
    const seconds = [...serverState.get().seconds, ...status.seconds].slice(-KEPT);
    serverState.set({ status, seconds, wantsKey: null, trouble: null });
    return PERIOD;
  } catch (error) {
    if (asked !== client) return 0;
    if (error instanceof AttuneError && error.status === 401) {
      const { hasKey } = serverState.get();
      serverState.set({ wantsKey: hasKey ? 'The server does not know this key.' : '', hasKey: false, status: null });
      return Number.POSITIVE_INFINITY;
    }
    serverState.set({ trouble: problemText(error), ...(!(error instanceof AttuneError) && { unready: null }) });
    return error instanceof AttuneError ? 1000 * (error.retryAfter ?? 2) : 2 * PERIOD;
  }
}

async function readiness(): Promise<void> {
  try {
    await client.ready();
    serverState.set({ unready: '' });
  } catch (error) {
    if (!(error instanceof AttuneError)) throw error;
    serverState.set({ unready: error.message });
  }
}

export const problemText = (error: unknown): string =>
  error instanceof AttuneError ? error.message : 'The server does not answer.';
