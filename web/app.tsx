/** The frame: wordmark, pages, device, theme. */
import type { FunctionComponent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { refreshDevice, refreshModels } from './actions.ts';
import { DataPage } from './pages/data.tsx';
import { appState, trainingState } from './state.ts';
import { useStore } from './store.ts';
import { Notice, Spinner } from './ui/components.tsx';
import { ThemeButton } from './ui/theme.tsx';

/** All pages but the first load when they are opened. */
const PAGES: { path: string; name: string; load: (() => Promise<FunctionComponent>) | null }[] = [
  { path: 'data', name: 'Data', load: null },
  { path: 'train', name: 'Train', load: async () => (await import('./pages/train.tsx')).TrainPage },
  { path: 'recommend', name: 'Recommend', load: async () => (await import('./pages/recommend.tsx')).RecommendPage },
  { path: 'inside', name: 'Look inside', load: async () => (await import('./pages/inside.tsx')).InsidePage },
  { path: 'models', name: 'Models', load: async () => (await import('./pages/models.tsx')).ModelsPage },
  { path: 'bench', name: 'Bench', load: async () => (await import('./pages/bench.tsx')).BenchPage },
];

const loaded = new Map<string, FunctionComponent>([['data', DataPage]]);

const pathOf = (): string => {
  const path = location.hash.replace(/^#\/?/, '').split('?')[0];
  return PAGES.some((page) => page.path === path) ? path : 'data';
};

export function App() {
  const [path, setPath] = useState(pathOf);
  const [, arrived] = useState(0);
  const [absent, setAbsent] = useState<string | null>(null);
  useEffect(() => {
    const turn = () => {
      setPath(pathOf());
      document.getElementById('main')?.focus({ preventScroll: true });
      scrollTo(0, 0);
    };
    addEventListener('hashchange', turn);
    return () => removeEventListener('hashchange', turn);
  }, []);
  useEffect(() => {
    void refreshDevice();
    void refreshModels();
  }, []);
  const page = PAGES.find((one) => one.path === path) as (typeof PAGES)[number];
  useEffect(() => {
    document.title = page.path === 'data' ? 'Attune' : `${page.name} · Attune`;
    if (loaded.has(page.path) || !page.load) return;
    page
      .load()
      .then((component) => {
        loaded.set(page.path, component);
        arrived((n) => n + 1);
      })
      .catch(() => setAbsent(page.path));
  }, [page]);
  const Page = loaded.get(path);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <a class="wordmark" href="#/data">
          <svg viewBox="0 0 64 64" aria-hidden="true">
            <path d="M20 8v20a12 12 0 0 0 24 0V8M32 40v16" />
          </svg>
          Attune
        </a>
        <nav aria-label="Pages">
          {PAGES.map(({ path: to, name }) => (
            <a key={to} href={`#/${to}`} aria-current={to === path ? 'page' : undefined}>
              {name}
              {to === 'train' && <Pulse />}
            </a>
          ))}
        </nav>
        <DevicePill />
        <ThemeButton />
      </header>
      <main id="main" tabIndex={-1}>
        <MissingGpu />
        {Page ? (
          <Page />
        ) : absent === path ? (
          <Notice kind="error" title={`"${page.name}" could not be loaded.`}>
            There may be a newer version: reload the page.
          </Notice>
        ) : (
          <Spinner label={`Opening ${page.name}`} />
        )}
      </main>
      <footer class="foot">
        <p>Everything runs in this browser. Nothing that you open, train or query leaves your device.</p>
      </footer>
    </>
  );
}

/** A dot on the Train link during a training. */
function Pulse() {
  const status = useStore(trainingState, (state) => state.status);
  if (status !== 'running' && status !== 'preparing' && status !== 'pausing') return null;
  return <span class="pulse" role="img" aria-label="A training runs" />;
}

function DevicePill() {
  const device = useStore(appState, (state) => state.device);
  return (
    <p
      class={`device ${device?.backend ?? ''}`}
      data-bytes={device?.bytes}
      title={device ? [device.name, ...device.features].join(' · ') : undefined}
    >
      <span class="visually-hidden">Computes on: </span>
      {device ? (device.backend === 'webgpu' ? `GPU · ${device.name}` : 'CPU') : '…'}
    </p>
  );
}

function MissingGpu() {
  const missing = useStore(appState, (state) => state.device?.missing ?? null);
  if (!missing) return null;
  return (
    <Notice kind="warn" title={`${missing.what} Attune continues on the CPU.`}>
      {missing.how} Until then small logs and the demo shop train, slowly, and trained models recommend.
    </Notice>
  );
}
