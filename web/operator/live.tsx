/** What the server does now: figures of the last minute, five minutes as lines, what it has. */
import { useMemo } from 'preact/hooks';
import { count, milliseconds, percent, rate } from '../format.ts';
import { useStore } from '../store.ts';
import { Chart, type Series } from '../ui/chart.tsx';
import { Stat } from '../ui/parts.tsx';
import { type Second, type Status, serverState } from './server.ts';

export function Figures({ status: { minute, eventsAdded } }: { status: Status }) {
  const { requests, failed, events, latency } = minute;
  const took = (ms: number | undefined) => (ms === undefined ? '–' : milliseconds(ms));
  return (
    <section class="card stack" aria-labelledby="minute-title">
      <h2 id="minute-title">The last minute</h2>
      <dl class="stats">
        <Stat label="Requests" value={`${rate(requests / 60)} / s`} hint={`${count(requests)} in all`} />
        <Stat label="Half took at most" value={took(latency?.p50)} hint="p50" />
        <Stat label="Nine in ten" value={took(latency?.p90)} hint="p90" />
        <Stat label="99 in 100" value={took(latency?.p99)} hint="p99" />
        <Stat
          label="Failed"
          value={count(failed)}
          hint={requests > 0 ? `${percent(failed / requests)} of the requests` : undefined}
        />
        <Stat label="Events" value={`${rate(events / 60)} / s`} hint={`${count(eventsAdded)} since the start`} />
      </dl>
    </section>
  );
}

interface Line {
  label: string;
  /** Number of the color among the groups'. */
  group: number;
  of: (second: Second) => number | null;
}

const LATENCY: Line[] = [
  { label: 'p50', group: 0, of: ({ latency }) => latency?.p50 ?? null },
  { label: 'p90', group: 1, of: ({ latency }) => latency?.p90 ?? null },
  { label: 'p99', group: 2, of: ({ latency }) => latency?.p99 ?? null },
];

const THROUGHPUT: Line[] = [
  { label: 'requests', group: 0, of: ({ requests }) => requests },
  { label: 'events', group: 4, of: ({ events }) => events },
  { label: 'failed requests', group: 3, of: ({ failed }) => failed },
];

export function Charts() {
  const seconds = useStore(serverState, (state) => state.seconds);
  return (
    <div class="halves">
      <Lines id="latency" title="Latency, ms" unit="ms" lines={LATENCY} seconds={seconds} />
      <Lines id="throughput" title="Throughput, per second" unit="a second" lines={THROUGHPUT} seconds={seconds} />
    </div>
  );
}

function Lines({
  id,
  title,
  unit,
  lines,
  seconds,
}: {
  id: string;
  title: string;
  unit: string;
  lines: Line[];
  seconds: Second[];
}) {
  const series = useMemo(
    (): Series[] =>
      lines.map(({ label, group, of }) => ({
        label,
        color: `--group-${group}`,
        points: seconds.map((second): [number, number | null] => [second.time / 1000, of(second)]),
      })),
    [seconds],
  );
  return (
    <section class="card stack" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{title}</h2>
      <Chart label={title} series={series} x="time" unit={unit} />
      <ul class="legend">
        {lines.map(({ label, group }) => (
          <li key={label}>
            <span class={`dot group-${group}`} aria-hidden="true" />
            {label}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Phrases of the statuses that this server answers with. */
const PHRASES = new Map([
  [200, 'OK'],
  [201, 'Created'],
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [405, 'Method Not Allowed'],
  [409, 'Conflict'],
  [413, 'Content Too Large'],
  [415, 'Unsupported Media Type'],
  [421, 'Misdirected Request'],
  [422, 'Unprocessable Content'],
  [429, 'Too Many Requests'],
  [500, 'Internal Server Error'],
  [503, 'Service Unavailable'],
]);

export function Contents({ status: { statuses, store } }: { status: Status }) {
  return (
    <div class="halves">
      <section class="card stack" aria-labelledby="statuses-title">
        <h2 id="statuses-title">Answers since the start</h2>
        <table aria-labelledby="statuses-title">
          <thead>
            <tr>
              <th scope="col">Status</th>
              <th scope="col" class="number">
                Requests
              </th>
            </tr>
          </thead>
          <tbody>
            {statuses.map(({ status, requests }) => (
              <tr key={status}>
                <th scope="row" class="plain">
                  {status} {PHRASES.get(status)}
                </th>
                <td class="number">{count(requests)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {statuses.length === 0 && <p class="muted">No request yet.</p>}
      </section>
      <section class="card stack" aria-labelledby="store-title">
        <h2 id="store-title">Store</h2>
        <dl class="stats">
          <Stat label="Events" value={count(store.events)} />
          <Stat label="Users" value={count(store.users)} />
          <Stat label="Items put" value={count(store.items)} />
        </dl>
        <p class="muted wrap">{store.name}</p>
      </section>
    </div>
  );
}
