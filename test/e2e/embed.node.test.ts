/** The library bundled for a page: its size, its contents, and the example in Chromium. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Browser, chromium, type Page } from 'playwright';
import { build as bundle, type PreviewServer, preview, type Rollup } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findChromium } from '../../scripts/system.mjs';
import { Device } from '../../engine/index.ts';
import { join } from '../../model/storage/files.ts';
import { packModel } from '../../model/storage/pack.ts';
import { Recommender } from '../../recommend/node.ts';
import { smallModel } from '../recommend/model.fixture.ts';
import { build, root } from './paths.ts';

/** Bytes of `import { Recommender } from 'attune'`, minified and gzipped. Kernels are 36 kB of it, checking a model's files 7 kB, calibration and exposure floors 1 kB. */
const LIMIT = 144_000;

const dir = mkdtempSync(path.join(tmpdir(), 'attune-embed-'));
beforeAll(() => build());
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Bundles a page's script; `attune` resolves to this package through its own exports. */
async function bundled(code: string): Promise<Rollup.OutputChunk[]> {
  const entry = 'virtual:page';
  const result = (await bundle({
    root,
    configFile: false,
    publicDir: false,
    logLevel: 'silent',
    plugins: [
      {
        name: 'page',
        resolveId: (id) => (id === entry ? path.join(root, 'page.js') : null),
        load: (id) => (id === path.join(root, 'page.js') ? code : null),
      },
    ],
    build: { write: false, rolldownOptions: { input: entry } },
  })) as Rollup.RollupOutput;
  return result.output.filter((part) => part.type === 'chunk');
}

describe('bundled for a page', () => {
  test('Recommender alone is small, and contains nothing of Node', async () => {
    const chunks = await bundled("import { Recommender } from 'attune';\nglobalThis.open = Recommender.load;\n");
    const all = chunks.map((chunk) => chunk.code).join('\n');
    const modules = chunks.flatMap((chunk) => Object.keys(chunk.modules)).map((id) => path.relative(root, id));
    expect(modules).toContain('dist/recommend/recommender.js');
    expect(
      modules.filter((id) => /\.node\.js$|^dist\/(cli|train|bench)\/|recommend\/worker|node_modules/.test(id)),
    ).toEqual([]);
    expect(all).not.toMatch(/["'`]node:|\brequire\(/);
    // Explanations, adaptation, generation, the ranker (its store, and the two stages), and WebAssembly load on demand.
    const first = chunks.find(({ isEntry }) => isEntry) as Rollup.OutputChunk;
    expect(
      first.dynamicImports.filter((name) => !/\/(explain|personalize|generator|store|two-stages|wasm)-/.test(name)),
    ).toEqual([]);
    const atOnce = new Set([first]);
    for (const chunk of atOnce)
      for (const name of chunk.imports)
        atOnce.add(chunks.find(({ fileName }) => fileName === name) as Rollup.OutputChunk);
    const early = [...atOnce].flatMap((chunk) => Object.keys(chunk.modules)).map((id) => path.relative(root, id));
    expect(early).toContain('dist/recommend/recommender.js');
    expect(early.filter((id) => /^dist\/model\/ranker\//.test(id))).toEqual([]);
    const bytes = [...atOnce].reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0);
    process.stdout.write(`import { Recommender } from 'attune': ${(bytes / 1000).toFixed(1)} kB gzipped\n`);
    expect(bytes).toBeLessThan(LIMIT);
  });

  test('unused exports are dropped', async () => {
    const [{ code }] = await bundled("import { InputError } from 'attune';\nglobalThis.made = InputError;\n");
    expect(code.length).toBeLessThan(2000);
  });

  test('the worker entry bundles, comlink with it', async () => {
    const chunks = await bundled("import 'attune/worker';\n");
    const modules = chunks.flatMap((chunk) => Object.keys(chunk.modules));
    expect(modules.some((id) => id.includes('comlink'))).toBe(true);
    expect(chunks.map(({ code }) => code).join('\n')).not.toMatch(/["'`]node:/);
  });
});

describe('examples/web-embed in Chromium', () => {
  let server: PreviewServer;
  let browser: Browser;
  let page: Page;
  let recommender: Awaited<ReturnType<typeof Recommender.load>>;
  let base: string;
  const requests: { method: string; url: string; body: string | null }[] = [];
  const VISITS = ['i7', 'i20', 'i33'];

  beforeAll(async () => {
    const device = await Device.open({ backend: 'webgpu' });
    const packed = join(await packModel(await smallModel(device)));
    recommender = await Recommender.load(packed, { device });
    mkdirSync(path.join(dir, 'public'));
    writeFileSync(path.join(dir, 'public/shop.attune'), packed);
    const options = {
      root: path.join(root, 'examples/web-embed'),
      configFile: false as const,
      publicDir: path.join(dir, 'public'),
      logLevel: 'silent' as const,
      build: { outDir: path.join(dir, 'out'), emptyOutDir: true },
    };
    await bundle(options);
    server = await preview({ ...options, preview: { host: 'localhost', port: 0 } });
    base = server.resolvedUrls?.local[0] as string;
    browser = await chromium.launch({
      executablePath: findChromium(),
      chromiumSandbox: false,
      args: [
        '--enable-unsafe-webgpu',
        '--disable-gpu',
        '--disable-quic',
        '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost',
      ],
    });
    page = await browser.newPage();
    page.on('request', (request) =>
      requests.push({ method: request.method(), url: request.url(), body: request.postData() }),
    );
    await page.goto(base);
    await page.waitForFunction(() => /remembered on this device/.test(document.body.textContent), null, {
      timeout: 600_000,
    });
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    recommender?.close();
  });

  const shown = (target: Page) =>
    target.evaluate(() => Array.from(document.querySelectorAll<HTMLElement>('#next button'), (b) => b.dataset.id));
  /** Waits for the list after so many visits. */
  const visited = (target: Page, visits: number) =>
    target.waitForFunction((n) => document.body.textContent.includes(`${n} visits remembered`), visits, {
      timeout: 600_000,
    });
  const inNode = async (history: readonly string[]) =>
    (await recommender.recommend({ history })).items.map(({ id }) => id);

  test('each click shows the list that Node computes for that history', async () => {
    for (const [i, id] of VISITS.entries()) {
      await page.click(`#shelf [data-id="${id}"]`);
      await visited(page, i + 1);
      expect(await shown(page)).toEqual(await inNode(VISITS.slice(0, i + 1)));
    }
    expect(await page.textContent('#state')).toMatch(/webgpu|wasm/);
  });

  test('the history survives a reload in the same browser, and nothing is sent', async () => {
    await page.reload();
    await visited(page, VISITS.length);
    expect(await shown(page)).toEqual(await inNode(VISITS));
    expect(requests.length).toBeGreaterThan(1);
    for (const { method, url, body } of requests) {
      expect(method, url).toBe('GET');
      expect(body).toBeNull();
      expect(new URL(url).origin).toBe(new URL(base).origin);
      expect(new URL(url).search).toBe('');
    }
    const other = await browser.newContext();
    const stranger = await other.newPage();
    await stranger.goto(base);
    await visited(stranger, 0);
    expect(await shown(stranger)).toEqual(await inNode([]));
    await other.close();
  });

  test('learns from the visitor, and forgets', async () => {
    await page.click('#learn');
    await recommender.personalize(VISITS);
    const personal = await inNode(VISITS);
    recommender.forget();
    expect(personal).not.toEqual(await inNode(VISITS));
    await page.waitForFunction(
      (ids) =>
        JSON.stringify(Array.from(document.querySelectorAll<HTMLElement>('#next button'), (b) => b.dataset.id)) === ids,
      JSON.stringify(personal),
      { timeout: 600_000 },
    );
    await page.click('#forget');
    await visited(page, 0);
    expect(await shown(page)).toEqual(await inNode([]));
    expect(await page.evaluate(() => localStorage.length)).toBe(0);
  });
});
