/** The frame: whether the server is ready, the key, and the parts of the page. */
import { useState } from 'preact/hooks';
import { durationText } from '../format.ts';
import { useStore } from '../store.ts';
import { Field, Notice, Spinner } from '../ui/components.tsx';
import { ThemeButton } from '../ui/theme.tsx';
import { Charts, Contents, Figures } from './live.tsx';
import { ModelsCard } from './models.tsx';
import { serverState, setKey } from './server.ts';
import { UserCard } from './user.tsx';

export function OperatorApp() {
  const wantsKey = useStore(serverState, (state) => state.wantsKey);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <span class="wordmark">
          <svg viewBox="0 0 64 64" aria-hidden="true">
            <path d="M20 8v20a12 12 0 0 0 24 0V8M32 40v16" />
          </svg>
          Attune
        </span>
        <nav class="links" aria-label="Elsewhere on this server">
          <a href="./docs">Interface</a>
        </nav>
        <Ready />
        <ThemeButton />
      </header>
      <main id="main" tabIndex={-1}>
        {wantsKey === null ? <Page /> : <KeyForm refusal={wantsKey} />}
      </main>
    </>
  );
}

function Ready() {
  const unready = useStore(serverState, (state) => state.unready);
  const [name, words] =
    unready === null ? ['', 'Not known'] : unready === '' ? ['ready', 'Ready'] : ['failed', `Not ready: ${unready}`];
  return (
    <p class={`state ${name}`} role="status">
      {words}
    </p>
  );
}

function Page() {
  const status = useStore(serverState, (state) => state.status);
  const trouble = useStore(serverState, (state) => state.trouble);
  const hasKey = useStore(serverState, (state) => state.hasKey);
  return (
    <div class="page">
      <div class="page-head">
        <div>
          <h1>Server</h1>
          {status && (
            <p class="muted">
              Up for {durationText((status.time - status.started) / 1000)}, on {status.device}
            </p>
          )}
        </div>
        {hasKey && (
          <button type="button" class="button small" onClick={() => setKey(null)}>
            Forget the key
          </button>
        )}
      </div>
      {trouble && (
        <Notice kind="error" title="No answer this time.">
          {trouble} The page goes on asking.
        </Notice>
      )}
      {status ? (
        <>
          <Figures status={status} />
          <Charts />
          <ModelsCard status={status} />
          <Contents status={status} />
          <UserCard />
        </>
      ) : (
        !trouble && <Spinner label="Asking the server" />
      )}
    </div>
  );
}

function KeyForm({ refusal }: { refusal: string }) {
  const [key, setText] = useState('');
  return (
    <section class="card stack" aria-labelledby="key-title">
      <h1 id="key-title">This server asks for a key</h1>
      {refusal !== '' && <Notice kind="error">{refusal}</Notice>}
      <form
        class="ask"
        onSubmit={(event) => {
          event.preventDefault();
          if (key.trim() !== '') setKey(key.trim());
        }}
      >
        <Field
          label="Key"
          help="The page keeps it in memory until it is closed or loaded again. A key with the role read shows everything; one with the role admin replaces models, too."
        >
          {(ids) => (
            <input
              {...ids}
              class="secret"
              type="text"
              autocomplete="off"
              autocapitalize="off"
              spellcheck={false}
              value={key}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          )}
        </Field>
        <button type="submit" class="button primary">
          Open
        </button>
      </form>
    </section>
  );
}
