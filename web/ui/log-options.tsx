/** Options of a visitor's own log: files of items and of users, and the event context to read. */
import { changeReading } from '../actions.ts';
import { dataState } from '../state.ts';
import { useStore } from '../store.ts';
import { Field, FileButton } from './components.tsx';
import type { Analysis, LogColumns, Preview, Role } from '../worker/contract.ts';

export function LogOptions({ preview, analysis }: { preview: Preview | null; analysis: Analysis | null }) {
  const reading = useStore(dataState, (state) => state.reading);
  const source = useStore(dataState, (state) => state.source);
  if (source?.kind !== 'file') return null;
  const { items, users } = source;
  return (
    <>
      <Field label="Rows that may be left out" help="Unreadable rows that are skipped; more are an error.">
        {(ids) => (
          <input
            {...ids}
            type="number"
            min={0}
            value={reading.maxBadRows}
            onChange={(event) => changeReading({ maxBadRows: Number(event.currentTarget.value) })}
          />
        )}
      </Field>
      <FileOption
        title="Titles and attributes"
        help="A second file with a row for each item makes recommendations readable."
        name={items?.name}
        button={items ? 'Another items file' : 'Add an items file'}
        onFile={(file) => changeReading({}, { items: file })}
      />
      <FileOption
        title="User features"
        help="A file with a row for each user: what is known of them are user features of the model."
        name={users?.name}
        button={users ? 'Another users file' : 'Add a users file'}
        onFile={(file) => changeReading({}, { users: file })}
      />
      <Events names={analysis ? namesOf(preview, analysis, reading.columns) : reading.events} chosen={reading.events} />
    </>
  );
}

function FileOption({
  title,
  help,
  name,
  button,
  onFile,
}: {
  title: string;
  help: string;
  name: string | undefined;
  button: string;
  onFile: (file: File) => void;
}) {
  return (
    <div class="field">
      <p class="field-title">{title}</p>
      <p class="help">{name ?? help}</p>
      <FileButton class="button small" onFile={onFile}>
        {button}
      </FileButton>
    </div>
  );
}

/** The event context that can be read: ratings, times, and other columns. */
function namesOf(preview: Preview | null, { ratings, span }: Analysis, columns: LogColumns): string[] {
  const roles = preview ? (Object.entries(preview.roles) as [Role, number][]) : [];
  const taken = new Set(roles.map(([role, at]) => columns[role] ?? preview?.header[at]));
  const others = preview?.named ? preview.header.filter((name) => !taken.has(name)) : [];
  return [...(ratings ? ['rating'] : []), ...(span ? ['gap', 'hour', 'weekday'] : []), ...others];
}

function Events({ names, chosen }: { names: readonly string[]; chosen: readonly string[] }) {
  if (names.length === 0) return null;
  return (
    <fieldset class="field">
      <legend>Read of each event</legend>
      <p class="help">The context of an event besides its item, for models that use more than the order.</p>
      {names.map((name) => (
        <label key={name} class="check">
          <input
            type="checkbox"
            checked={chosen.includes(name)}
            onChange={({ currentTarget: { checked } }) =>
              changeReading({ events: checked ? [...chosen, name] : chosen.filter((one) => one !== name) })
            }
          />
          {WORDS[name] ?? name}
        </label>
      ))}
    </fieldset>
  );
}

const WORDS: Record<string, string> = {
  rating: 'its rating',
  gap: 'the time since the one before',
  hour: 'the hour of the day',
  weekday: 'the day of the week',
};
