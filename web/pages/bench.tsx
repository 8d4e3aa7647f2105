/** Bench: the kernels of this engine in this browser, against the plain loops of the CPU reference. */
import { useEffect, useState } from 'preact/hooks';
import { refreshDevice } from '../actions.ts';
import { callback, engine, messageOf } from '../engine.ts';
import { bytes, countText } from '../format.ts';
import { appState } from '../state.ts';
import { useStore } from '../store.ts';
import { Field, Notice, ProgressBar } from '../ui/components.tsx';
import type { KernelBench } from '../../bench/kernels.ts';

const SIZES = [1, 4, 16, 64];
const HEAD = ['Case', 'Rows', 'ms', 'GFLOP/s', 'GB/s', 'of the roofline', 'Reference ms', 'Times faster'];

export function BenchPage() {
  const device = useStore(appState, (state) => state.device);
  const [names, setNames] = useState<string[]>([]);
  const [filter, setFilter] = useState('');
  const [scale, setScale] = useState(4);
  const [done, setDone] = useState<number | null>(null);
  const [result, setResult] = useState<KernelBench | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    void engine().benchCases().then(setNames);
  }, []);
  const asked = names.filter((name) => name.includes(filter)).length;
  const run = async (event: Event) => {
    event.preventDefault();
    setError(null);
    setResult(null);
    setCopied(false);
    setDone(0);
    try {
      setResult(
        await engine().bench(
          { filter, scale },
          callback(() => setDone((n) => (n ?? 0) + 1)),
        ),
      );
    } catch (reason) {
      setError(messageOf(reason));
    } finally {
      setDone(null);
      void refreshDevice();
    }
  };
  const rows = result ? cellsOf(result) : [];
  const copy = async () => {
    const lines = [HEAD, HEAD.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
    await navigator.clipboard.writeText(`${lines.join('\n')}\n`);
    setCopied(true);
  };
  return (
    <div class="page">
      <h1>Bench</h1>
      <p class="lead">
        Each kernel at the sizes of training on MovieLens 1M, compared with the same work in plain loops on the CPU.
      </p>
      <form class="card stack" onSubmit={run}>
        <div class="fields">
          <Field label="Cases" help={`${countText(asked)} of ${countText(names.length)}`}>
            {(ids) => (
              <select {...ids} value={filter} onChange={(event) => setFilter(event.currentTarget.value)}>
                <option value="">all</option>
                {names.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            )}
          </Field>
          <Field label="Size" help="A software adapter needs small ones">
            {(ids) => (
              <select {...ids} value={scale} onChange={(event) => setScale(Number(event.currentTarget.value))}>
                {SIZES.map((n) => (
                  <option key={n} value={n}>
                    {n === 1 ? 'full' : `a ${n}th of the rows`}
                  </option>
                ))}
              </select>
            )}
          </Field>
        </div>
        <div class="row">
          <button type="submit" class="button primary" disabled={done !== null || device?.backend === 'cpu'}>
            Run
          </button>
          <p class="muted">
            {device?.name}
            {device && device.features.length > 0 && `, with ${device.features.join(', ')}`}
            {device && `. ${bytes(device.bytes)} of buffers in use.`}
          </p>
        </div>
        {done !== null && <ProgressBar share={asked > 0 ? done / asked : null} label="Cases done" />}
      </form>
      {error && <Notice kind="error">{error}</Notice>}
      {result && (
        <section class="card stack" aria-labelledby="bench-title">
          <div class="page-head">
            <h2 id="bench-title">Kernels</h2>
            <div class="row">
              <button type="button" class="button small" onClick={copy}>
                Copy as Markdown
              </button>
              <span role="status" class="muted">
                {copied ? 'Copied.' : ''}
              </span>
            </div>
          </div>
          <div class="scroll">
            <table>
              <caption>
                Roofline, measured: {result.roofline.gflops.toFixed(1)} GFLOP/s multiply-adds,{' '}
                {result.roofline.gbs.toFixed(1)} GB/s copying. Medians.
              </caption>
              <thead>
                <tr>
                  {HEAD.map((name, i) => (
                    <th key={name} scope="col" class={i > 0 ? 'number' : ''}>
                      {name}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {rows.map(([name, ...cells]) => (
                  <tr key={name}>
                    <th scope="row">{name}</th>
                    {cells.map((cell, i) => (
                      <td key={HEAD[i + 1]} class="number">
                        {cell}
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      )}
    </div>
  );
}

function cellsOf({ rows }: KernelBench): string[][] {
  return rows.map((row) => [
    ...[row.case, countText(row.size), row.ms.toFixed(3), row.gflops.toFixed(2), row.gbs.toFixed(2)],
    ...[
      `${(100 * row.fraction).toFixed(1)} %`,
      row.referenceMs.toFixed(1),
      row.speedup.toFixed(row.speedup < 10 ? 2 : 1),
    ],
  ]);
}
