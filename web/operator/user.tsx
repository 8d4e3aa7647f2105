/** What a user would see now, and why. */
import { useState } from 'preact/hooks';
import { percent } from '../format.ts';
import { Attributes, Field, Notice, Share, Spinner } from '../ui/components.tsx';
import { problemText, server } from './server.ts';

type Listed = Awaited<ReturnType<ReturnType<typeof server>['recommendForUser']>>['items'][number];

interface Shown {
  user: string;
  model: string;
  items: Listed[];
}

const STAGES: Record<NonNullable<Listed['explanation']>['stage'], string> = {
  transformer: 'transformer',
  transitions: 'item transitions',
  prior: 'popularity',
  exploration: 'exploration',
  filter: 'filter',
};

export function UserCard() {
  const [user, setUser] = useState('');
  const [shown, setShown] = useState<Shown | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const ask = async () => {
    setBusy(true);
    try {
      setShown({ user, ...(await server().recommendForUser(user, { k: 10, explain: true, preview: true })) });
      setError(null);
    } catch (reason) {
      setShown(null);
      setError(problemText(reason));
    }
    setBusy(false);
  };
  return (
    <section class="card stack" aria-labelledby="user-title">
      <h2 id="user-title">What a user sees now</h2>
      <form
        class="ask"
        onSubmit={(event) => {
          event.preventDefault();
          if (user !== '' && !busy) void ask();
        }}
      >
        <Field label="User ID">
          {(ids) => (
            <input
              {...ids}
              type="search"
              autocomplete="off"
              spellcheck={false}
              value={user}
              onInput={(event) => setUser(event.currentTarget.value)}
            />
          )}
        </Field>
        <button type="submit" class="button">
          Show the list
        </button>
      </form>
      {busy && <Spinner label="Asking" />}
      {error && <Notice kind="error">{error}</Notice>}
      {shown && (
        <>
          <p role="status">
            {shown.items.length} items for {shown.user}, by the model {shown.model}.
          </p>
          <ol class="items recommended">
            {shown.items.map((item, at) => (
              <li key={item.id}>
                <span class="rank" aria-hidden="true">
                  {at + 1}
                </span>
                <div>
                  <div class="name">{item.title}</div>
                  <Attributes of={item.attributes} />
                </div>
                {item.explanation && <span class="badge">{STAGES[item.explanation.stage]}</span>}
                {item.explanation && <Reason title={item.title} of={item.explanation} />}
              </li>
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

function Reason({ title, of: { sentence, events } }: { title: string; of: NonNullable<Listed['explanation']> }) {
  return (
    <div class="why stack">
      <p class="muted">{sentence.replaceAll(' %', '\u00a0%')}</p>
      {events.length > 0 && (
        <ul class="shares" aria-label={`Events that ${title} is due to`}>
          {events.map((event) => (
            <Share
              key={event.id}
              label={event.title}
              name={`${event.title}: ${percent(event.share)}`}
              part={event.share}
              text={percent(event.share)}
            />
          ))}
        </ul>
      )}
    </div>
  );
}
