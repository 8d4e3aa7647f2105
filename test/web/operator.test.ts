/** The operator's page as the server sends it, in Chromium, against a running server. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Keys } from '../../server/http/keys.ts';
import { eventsOf, postable, trainInto } from '../server/mini-shop.ts';
import { startServer, type TestServer } from '../server/server.ts';
import { makeKeys } from '../server/start.ts';
import { byKeyboard, focused } from './access.ts';
import { launch, screenshot, type Site, visiting } from './page.ts';

const operator = fileURLToPath(new URL('../../dist/operator', import.meta.url));
const app = { version: 'test', log: 'silent', operator };

let browser: Browser;
let server: TestServer;
const site = (of: TestServer): Site => ({
  url: `${of.address.replace('127.0.0.1', 'localhost')}/`,
  scripts: new Map(),
  close: () => of.close(),
});

beforeAll(async () => {
  [browser, server] = await Promise.all([launch(false), startServer({ app })]);
  await server.call('POST', '/v1/events', [
    { user: 'ada', item: 'i3' },
    { user: 'ada', item: 'i9' },
  ]);
});
afterAll(async () => {
  await browser.close();
  await server.close();
});

const figure = (page: Page, label: string) =>
  page.locator('.stat', { has: page.locator('dt', { hasText: label }) }).locator('dd');
const card = (page: Page, title: string) =>
  page.locator('section.card', { has: page.getByRole('heading', { name: title, exact: true }) });

it('shows what the server does, as it does it', () =>
  visiting(browser, site(server), async ({ page, wrong }) => {
    await page.getByText('Ready', { exact: true }).waitFor();
    await expect.poll(() => card(page, 'Store').locator('dd').allTextContents()).toEqual(['2', '1', '0']);
    const answers = card(page, 'Answers since the start');
    const before = await answers.getByRole('row', { name: /^200/ }).count();
    expect(before).toBe(0);
    for (let i = 0; i < 3; i++) await server.call('GET', '/v1/users/ada/recommendations');
    await server.call('GET', '/v1/users/ada/recommendations?k=0');
    await expect
      .poll(() => answers.locator('tbody tr').allTextContents())
      .toEqual(['200 OK3', '201 Created1', '400 Bad Request1']);
    expect(await figure(page, 'Half took at most').textContent()).toMatch(/^[\d.]+ msp50$/);
    expect(await figure(page, 'Failed').textContent()).toBe('00 % of the requests'.replace(' %', '\u00a0%'));
    const latency = page.getByRole('img', { name: /^Latency/ });
    await expect.poll(() => latency.getAttribute('aria-label')).toMatch(/p99: [\d.]+ ms at \d\d:\d\d:\d\d$/);
    const throughput = page.getByRole('img', { name: /^Throughput/ });
    expect(await throughput.getAttribute('aria-label')).toMatch(
      /requests: \d+ a second at .*failed requests: 0 a second/,
    );
    // Something is drawn: pixels in the colors of the lines.
    const drawn = await latency.locator('canvas').evaluate((canvas: HTMLCanvasElement) => {
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      let strong = 0;
      for (let i = 0; i < data.length; i += 4)
        if (
          data[i + 3] > 128 &&
          Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 80
        )
          strong++;
      return strong;
    });
    expect(drawn).toBeGreaterThan(5);
    expect(wrong).toEqual([]);
  }));

it('shows what a user sees now, and why', () =>
  visiting(browser, site(server), async ({ page, wrong }) => {
    const ask = async (user: string) => {
      await page.getByLabel('User ID').fill(user);
      await page.keyboard.press('Enter');
      await page.getByText(` items for ${user}, by the model`).waitFor();
    };
    await ask('ada');
    const { body } = await server.call('GET', '/v1/users/ada/recommendations?explain=true');
    const items = page.locator('.recommended > li');
    expect(await items.locator('.name').allTextContents()).toEqual(
      body.items.map(({ title }: { title: string }) => title),
    );
    const [first] = body.items;
    expect(await items.first().locator('.badge').textContent()).toBe(
      first.explanation.stage === 'transitions' ? 'item transitions' : first.explanation.stage,
    );
    expect(await items.first().getByText(first.explanation.sentence.replaceAll(' %', '\u00a0%')).count()).toBe(1);
    expect(await items.first().locator('.share').count()).toBe(first.explanation.events.length);
    await ask('nobody & <none>');
    expect(new Set(await items.locator('.badge').allTextContents())).toEqual(new Set(['popularity']));
    expect(wrong).toEqual([]);
  }));

it('goes by keyboard alone, and names what it finds', () =>
  visiting(browser, site(server), async ({ page }) => {
    await page.getByLabel('User ID').focus();
    await page.keyboard.type('ada');
    await page.keyboard.press('Enter');
    await page.getByText(' items for ada, by the model').waitFor();
    await byKeyboard(page, 'Operator');
    const theme = page.getByRole('button', { name: /^Colors/ });
    await theme.focus();
    for (const name of ['light', 'dark']) {
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: `Colors: ${name}` }).waitFor();
      await expect.poll(() => page.locator('html').getAttribute('data-theme')).toBe(name);
    }
    expect((await focused(page)).name).toContain('Colors: dark');
    await screenshot(page, 'operator-dark');
  }));

it.each(['light', 'dark'] as const)('fits a narrow screen, %s', (colorScheme) =>
  visiting(browser, site(server), async ({ page }) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: 360, height: 740 });
    await page.getByLabel('User ID').fill('ada');
    await page.keyboard.press('Enter');
    await page.getByText(' items for ada, by the model').waitFor();
    const wide = await page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      return scrollWidth - clientWidth;
    });
    expect(wide).toBe(0);
    const overlaps = await page.locator('.recommended > li').evaluateAll(
      (items) =>
        items.filter((item) => {
          const boxes = [...item.children].map((child) => child.getBoundingClientRect());
          return boxes.some((a, i) =>
            boxes.some((b, j) => j > i && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom),
          );
        }).length,
    );
    expect(overlaps).toBe(0);
    const { background, ink } = await page.evaluate(() => {
      const { backgroundColor: background, color: ink } = getComputedStyle(document.documentElement);
      return { background, ink };
    });
    const light = (color: string) => Number(/\d+/.exec(color)?.[0]) > 128;
    expect({ background: light(background), ink: light(ink) }).toEqual({
      background: colorScheme === 'light',
      ink: colorScheme === 'dark',
    });
  }),
);

it('swaps the model and swaps back by its buttons, says why one is refused, and shows how often lists hit', async () => {
  const root = mkdtempSync(path.join(tmpdir(), 'attune-operator-'));
  await trainInto(path.join(root, 'good'), 3);
  await trainInto(path.join(root, 'again'), 3, 2);
  await trainInto(path.join(root, 'wrong'), 7);
  const shop = await startServer({ app, model: path.join(root, 'good'), models: root });
  try {
    for (const events of [eventsOf(3), eventsOf(3, 9, 10)]) await shop.call('POST', '/v1/events', postable(events));
    const version = async (): Promise<string> => (await shop.call('GET', '/v1/popular')).body.model;
    await visiting(browser, site(shop), async ({ page, wrong }) => {
      const models = card(page, 'Models');
      const row = (name: string) =>
        models.locator('tbody tr', { has: page.getByRole('rowheader', { name, exact: true }) });
      await row('model').getByText('answers now').waitFor();
      const first = await version();
      await byKeyboard(page, 'Models');

      const button = page.getByRole('button', { name: 'Swap in again' });
      await button.focus();
      await page.keyboard.press('Enter');
      await page.getByRole('status').getByText('again answers now. NDCG@10 ').waitFor();
      await row('again').getByText('answers now').waitFor();
      expect(await version()).not.toBe(first);
      expect((await focused(page)).name).toContain('Models');

      await page.getByRole('button', { name: 'Swap back to model' }).click();
      await page.getByRole('status').getByText('model answers now. ').waitFor();
      await row('model').getByText('answers now').waitFor();
      expect(await version()).toBe(first);

      await page.getByRole('button', { name: 'Swap in wrong' }).click();
      await page.getByRole('alert').getByText('significantly worse').waitFor();
      expect(await version()).toBe(first);
      await screenshot(page, 'operator-refused');
      await page.getByRole('button', { name: 'Take wrong all the same' }).click();
      await page.getByRole('status').getByText('wrong answers now. ').waitFor();
      await row('wrong').getByText('answers now').waitFor();
      expect(await version()).not.toBe(first);

      const [item] = await shop.ids('GET', '/v1/users/u1/recommendations');
      await shop.call('POST', '/v1/events', { user: 'u1', item });
      await row('wrong').getByText('100\u00a0% of 1').waitFor();
      // What the operator looks up was not shown to the user.
      await page.getByLabel('User ID').fill('u2');
      await page.keyboard.press('Enter');
      await page.getByText(' items for u2, by the model').waitFor();
      await shop.call('POST', '/v1/events', { user: 'u2', item });
      await shop.call('GET', '/v1/users/u3/recommendations');
      await shop.call('POST', '/v1/events', { user: 'u3', item: 'i0' });
      await row('wrong')
        .getByText(/ of 2$/)
        .waitFor();
      expect(wrong).toEqual([]);
    });
  } finally {
    await shop.close();
    rmSync(root, { recursive: true });
  }
});

it('asks for a key, keeps it in memory only, and says what is wrong with it', async () => {
  const { text, keys } = makeKeys();
  const locked = await startServer({ app, keys: Keys.parse(text, 'keys') });
  try {
    await visiting(browser, site(locked), async ({ page, context, wrong }) => {
      await page.getByRole('heading', { name: 'This server asks for a key' }).waitFor();
      await page.getByText('Ready', { exact: true }).waitFor(); // needs none
      await byKeyboard(page, 'Key');
      await page.getByRole('textbox', { name: 'Key' }).fill('attune_wrong');
      await page.keyboard.press('Enter');
      await page.getByRole('alert').getByText('does not know this key').waitFor();
      await page.getByRole('textbox', { name: 'Key' }).fill(keys.read);
      await page.getByRole('button', { name: 'Open' }).click();
      await page.getByRole('heading', { name: 'The last minute' }).waitFor();
      await page.getByLabel('User ID').fill('ada');
      await page.keyboard.press('Enter');
      await page.getByText(' items for ada, by the model').waitFor();
      const refusal = page.getByRole('button', { name: 'Swapping needs a key with the role admin' });
      expect(await refusal.isDisabled()).toBe(true);
      expect(await card(page, 'Models').getByText('answers now').count()).toBe(1);
      const kept = await page.evaluate(() => [
        location.href,
        document.cookie,
        ...Object.values({ ...localStorage, ...sessionStorage }),
      ]);
      expect(kept.join('\n')).not.toContain(keys.read);
      expect(JSON.stringify(await context.storageState({ indexedDB: true }))).not.toContain(keys.read);
      expect(await page.content()).not.toContain(keys.read);
      await page.getByRole('button', { name: 'Forget the key' }).click();
      await page.getByRole('textbox', { name: 'Key' }).waitFor();
      expect(await page.getByRole('textbox', { name: 'Key' }).inputValue()).toBe('');
      expect(await page.getByRole('alert').count()).toBe(0);
      await page.getByRole('textbox', { name: 'Key' }).fill(keys.read);
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'The last minute' }).waitFor();
      await page.getByRole('button', { name: 'Forget the key' }).click();
      await page.getByRole('textbox', { name: 'Key' }).fill(keys.admin);
      await page.keyboard.press('Enter');
      await card(page, 'Models')
        .getByRole('row', { name: /^model/ })
        .waitFor();
      expect(await refusal.count()).toBe(0);
      await page.reload();
      await page.getByRole('textbox', { name: 'Key' }).waitFor();
      expect(wrong).toEqual([]);
    });
  } finally {
    await locked.close();
  }
});

it('says why the server is not ready, and what it refuses for now', () =>
  visiting(browser, site(server), async ({ page }) => {
    await page.getByText('Ready', { exact: true }).waitFor();
    const refuse = (url: string, detail: string) =>
      page.route(url, (route) =>
        route.fulfill({
          status: 503,
          headers: { 'content-type': 'application/problem+json', 'retry-after': '1' },
          body: JSON.stringify({ type: 'urn:attune:x', title: '', status: 503, code: 'x', detail, instance: 'x' }),
        }),
      );
    await refuse('**/readyz', 'the model is being loaded');
    await page.getByText('Not ready: the model is being loaded').waitFor();
    await refuse('**/v1/status*', 'the server has more work than it can do');
    await page.getByRole('alert').getByText('the server has more work than it can do').waitFor();
    expect(await page.getByRole('heading', { name: 'The last minute' }).count()).toBe(1);
    await byKeyboard(page, 'Not ready');
    await page.unrouteAll();
    await page.getByText('Ready', { exact: true }).waitFor();
    await page.getByRole('alert').waitFor({ state: 'detached' });
  }));

it('says when the server is gone, and goes on when it is back', async () => {
  const first = await startServer({ app });
  const { port } = new URL(first.address);
  let second: TestServer | undefined;
  try {
    await visiting(browser, site(first), async ({ page }) => {
      await page.getByRole('heading', { name: 'The last minute' }).waitFor();
      await first.close();
      await page.getByRole('alert').getByText('The server does not answer.').waitFor();
      await page.getByText('Not known').waitFor();
      second = await startServer({ app, port: Number(port) });
      await page.getByRole('alert').waitFor({ state: 'detached' });
      await page.getByText('Ready', { exact: true }).waitFor();
    });
  } finally {
    await second?.close();
  }
});

it('is small, and has the licenses of what it bundles', () => {
  const files = readdirSync(operator, { recursive: true }).map(String);
  const sent = files.filter((name) => /\.(html|js|css|svg)$/.test(name));
  expect(sent.length).toBe(4);
  const bytes = sent.reduce((sum, name) => sum + gzipSync(readFileSync(`${operator}/${name}`)).length, 0);
  expect(bytes).toBeLessThan(60_000);
  const notices = readFileSync(`${operator}/THIRD_PARTY_NOTICES.md`, 'utf8');
  expect([...notices.matchAll(/^## (\S+) [\d.]+ \([\w.-]+\)$/gm)].map(([, name]) => name)).toEqual(['preact', 'uplot']);
});
