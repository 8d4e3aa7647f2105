/** Who is served how well: the metrics of groups, for the model and simple recommenders. */
import { useState } from 'preact/hooks';
import { engine, messageOf } from '../engine.ts';
import { countText, figure, percent } from '../format.ts';
import type { FairnessReport } from '../../train/fairness/report.ts';
import { Field, Notice, Spinner } from './components.tsx';

export function GroupsCard() {
  const [report, setReport] = useState<FairnessReport | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const compare = async () => {
    setBusy(true);
    setError(null);
    try {
      setReport(await engine().groups());
    } catch (reason) {
      setError(messageOf(reason));
    }
    setBusy(false);
  };
  return (
    <section class="card stack" aria-labelledby="groups-title">
      <h2 id="groups-title">Who is served how well</h2>
      {!report && (
        <p class="muted">
          Ranks the validation users again, and compares them by the length of their history and the columns of the
          users file, and the items by popularity and attributes.
        </p>
      )}
      {!report && !busy && (
        <div class="row">
          <button type="button" class="button" onClick={() => void compare()}>
            Compare groups
          </button>
        </div>
      )}
      {busy && <Spinner label="Ranking by groups" />}
      {error && <Notice kind="error">{error}</Notice>}
      {report && <Report report={report} />}
    </section>
  );
}

function Report({ report }: { report: FairnessReport }) {
  const users = Object.keys(report.groups);
  const items = Object.keys(report.exposure);
  const names = [...users.map((name) => `users: ${name}`), ...items.map((name) => `items: ${name}`)];
  const [chosen, setChosen] = useState(0);
  const name = [...users, ...items][chosen];
  return (
    <>
      <Field label="Groups">
        {(ids) => (
          <select {...ids} value={chosen} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
            {names.map((label, i) => (
              <option key={label} value={i}>
                {label}
              </option>
            ))}
          </select>
        )}
      </Field>
      {chosen < users.length ? <Users name={name} report={report} /> : <Items name={name} report={report} />}
    </>
  );
}

const entry = <T,>(of: Readonly<Record<string, T>>, name: string): T | undefined =>
  new Map(Object.entries(of)).get(name);

function Users({ name, report }: { name: string; report: FairnessReport }) {
  const rows = Object.entries(entry(report.groups, name) ?? {});
  const beside = Object.keys(rows[0]?.[1].baselines ?? {});
  const gap = entry(report.columns, name)?.gaps.model?.['NDCG@10'];
  const note = entry(report.columns, name)?.note;
  return (
    <>
      <div class="scroll">
        <table aria-labelledby="groups-title">
          <thead>
            <tr>
              <th scope="col">{name}</th>
              <th scope="col" class="number">
                Users
              </th>
              <th scope="col" class="number">
                NDCG@10
              </th>
              <th scope="col" class="number">
                in the top 10
              </th>
              {beside.map((of) => (
                <th scope="col" class="number" key={of}>
                  {of}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(([value, { users, metrics, baselines, few }]) => (
              <tr key={value}>
                <th scope="row" class="plain">
                  {value}
                  {few && ' (few)'}
                </th>
                <td class="number">{countText(users)}</td>
                <td class="number">{figure(metrics['NDCG@10'])}</td>
                <td class="number">{percent(metrics['HR@10'])}</td>
                {Object.entries(baselines).map(([of, { 'NDCG@10': ndcg }]) => (
                  <td class="number" key={of}>
                    {figure(ndcg)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {gap && (
        <p role="status" class="muted">
          {gap.highest} is served better than {gap.lowest} by {figure(gap.difference)}; groups at random are as far
          apart with p = {figure(gap.p)}.
        </p>
      )}
      {note && <p class="help">{note}.</p>}
    </>
  );
}

function Items({ name, report }: { name: string; report: FairnessReport }) {
  const found = entry(report.exposure, name);
  const rows = Object.entries(found?.values ?? {});
  const beside = Object.keys(rows[0]?.[1].baselines ?? {});
  const mix = `Miscalibration@10 ${name}`;
  const calibrated = Object.entries(report.lists).flatMap(([of, metrics]): [string, number][] => {
    const value = entry(metrics, mix);
    return value === undefined ? [] : [[of, value]];
  });
  return (
    <>
      <div class="scroll">
        <table aria-labelledby="groups-title">
          <thead>
            <tr>
              <th scope="col">{name}</th>
              <th scope="col" class="number">
                of the catalog
              </th>
              <th scope="col" class="number">
                of the events
              </th>
              <th scope="col" class="number">
                shown by the model
              </th>
              {beside.map((of) => (
                <th scope="col" class="number" key={of}>
                  by {of}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(([value, { catalog, interactions, exposure, baselines }]) => (
              <tr key={value}>
                <th scope="row" class="plain">
                  {value}
                </th>
                <td class="number">{percent(catalog)}</td>
                <td class="number">{percent(interactions)}</td>
                <td class="number">{percent(exposure)}</td>
                {Object.entries(baselines).map(([of, share]) => (
                  <td class="number" key={of}>
                    {percent(share)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {calibrated.length > 0 && (
        <p class="muted">
          How far lists are from the mix of the user's history (KL divergence, 0: not at all):{' '}
          {calibrated.map(([of, value]) => `${of} ${value.toFixed(2)}`).join(', ')}.
        </p>
      )}
      {found?.note && <p class="help">{found.note}.</p>}
    </>
  );
}
