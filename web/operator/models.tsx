/** The models: which one answers, how often each one's lists had what came next, and a button to swap. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { AttuneError } from '../../client/index.ts';
import { countText, date, figure, percent } from '../format.ts';
import { Notice, Spinner } from '../ui/components.tsx';
import { problemText, server, type Status } from './server.ts';

type Listing = Awaited<ReturnType<ReturnType<typeof server>['listModels']>>;

/** What the table says of a model; a version that answered before may have left the folder. */
interface Row {
  version: string;
  folder: string | null;
  trained: string | null;
  ndcg: number | null;
  active: boolean;
}

/** Milliseconds between two looks at the folders. */
const PERIOD = 10_000;

interface Outcome {
  kind: 'info' | 'error';
  text: string;
  /** The folder that was refused, and may be taken all the same. */
  refused: string | null;
}

export function ModelsCard({ status }: { status: Status }) {
  const { model: active, online, role } = status;
  const maySwap = role === 'admin';
  const [listing, setListing] = useState<Listing | null>(null);
  const [busy, setBusy] = useState<string | null>(null);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  /** The version that answered before this one, while the page is open. */
  const [previous, setPrevious] = useState<string | null>(null);
  const seen = useRef(active);
  useEffect(() => {
    if (seen.current !== active) setPrevious(seen.current);
    seen.current = active;
  }, [active]);
  useEffect(() => {
    if (!maySwap) return;
    let here = true;
    const look = () =>
      server()
        .listModels()
        .then((found) => here && setListing(found))
        .catch((error) => here && setOutcome({ kind: 'error', text: problemText(error), refused: null }));
    void look();
    const timer = setInterval(look, PERIOD);
    return () => {
      here = false;
      clearInterval(timer);
    };
  }, [maySwap, active]);

  const heading = useRef<HTMLHeadingElement>(null);
  const swap = async (folder: string, force: boolean) => {
    heading.current?.focus(); // the button goes
    setBusy(folder);
    setOutcome(null);
    try {
      const { comparison } = await server().activateModel({ folder, force });
      setOutcome({ kind: 'info', text: `${folder} answers now. ${sentence(comparison.note)}`, refused: null });
    } catch (error) {
      const refused = error instanceof AttuneError && error.code === 'model-refused' && !force ? folder : null;
      setOutcome({ kind: 'error', text: `${folder} does not answer: ${problemText(error)}`, refused });
    }
    setBusy(null);
  };

  const rows = rowsOf(listing, status);
  return (
    <section class="card stack" aria-labelledby="models-title">
      <h2 id="models-title" ref={heading} tabIndex={-1}>
        Models
      </h2>
      <div class="scroll">
        <table aria-labelledby="models-title">
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col">Version</th>
              <th scope="col">Trained</th>
              <th scope="col" class="number">
                Validation NDCG@10
              </th>
              <th scope="col" class="number">
                Online hit rate
              </th>
              <th scope="col" class="number">
                Catalog shown
              </th>
              <th scope="col">Swap</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => {
              const seen = online.find(({ model }) => model === row.version);
              return (
                <tr key={row.folder ?? row.version} class={row.active ? 'mine' : ''}>
                  <th scope="row" class="plain">
                    {row.folder ?? '–'}
                  </th>
                  <td>{row.version}</td>
                  <td>{row.trained ? date(row.trained) : '–'}</td>
                  <td class="number">{figure(row.ndcg)}</td>
                  <td class="number">
                    {seen && seen.events > 0 ? `${percent(seen.hits / seen.events)} of ${countText(seen.events)}` : '–'}
                  </td>
                  <td class="number">{seen ? percent(seen.coverage) : '–'}</td>
                  <td>
                    <Swap
                      row={row}
                      back={row.version === previous}
                      maySwap={maySwap}
                      busy={busy !== null}
                      onSwap={(folder) => void swap(folder, false)}
                    />
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      <p class="help">Online hit rate: how often a user's next event was among the items shown last.</p>
      {!maySwap && (
        <div class="row">
          <button type="button" class="button small" disabled>
            Swapping needs a key with the role admin
          </button>
        </div>
      )}
      {busy && <Spinner label={`Loading ${busy}, and trying it beside the one that answers`} />}
      {outcome && (
        <Notice kind={outcome.kind}>
          <p>{outcome.text}</p>
          {outcome.refused && (
            <button type="button" class="button small" onClick={() => void swap(outcome.refused as string, true)}>
              Take {outcome.refused} all the same
            </button>
          )}
        </Notice>
      )}
      {listing?.unreadable.map(({ folder, reason }) => (
        <p key={folder} class="help wrap">
          {folder} cannot be read: {reason}
        </p>
      ))}
    </section>
  );
}

function Swap({
  row: { active, folder },
  back,
  maySwap,
  busy,
  onSwap,
}: {
  row: Row;
  /** It answered before the one that does now. */
  back: boolean;
  maySwap: boolean;
  busy: boolean;
  onSwap: (folder: string) => void;
}) {
  if (active) return <>answers now</>;
  if (folder === null || !maySwap) return <>–</>;
  return (
    <button
      type="button"
      class="button small"
      disabled={busy}
      aria-label={back ? `Swap back to ${folder}` : `Swap in ${folder}`}
      onClick={() => onSwap(folder)}
    >
      {back ? 'Swap back' : 'Swap in'}
    </button>
  );
}

function rowsOf(listing: Listing | null, { model, online }: Status): Row[] {
  const listed = (listing?.models ?? []).map(
    ({ folder, version, trained, metrics, active }): Row => ({
      folder,
      version,
      trained,
      ndcg: new Map(Object.entries(metrics)).get('NDCG@10') ?? null,
      active: active && version === model,
    }),
  );
  const known = new Set(listed.map(({ version }) => version));
  const others = [model, ...online.map((one) => one.model)].filter((version) => !known.has(version));
  return [
    ...listed,
    ...[...new Set(others)].map((version): Row => {
      return { folder: null, version, trained: null, ndcg: null, active: version === model };
    }),
  ];
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
