/** What the application loads, and how it does without a network, and without WebGPU. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Browser } from 'playwright';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  fillSettings,
  launch,
  parquetLog,
  screenshot,
  serveSite,
  type Site,
  smallLog,
  mainThread,
  TINY,
  visiting,
} from './page.ts';

const MOST_SCRIPT = 200_000;

let site: Site;
let browser: Browser;

beforeAll(async () => {
  site = await serveSite();
  browser = await launch();
});

afterAll(async () => {
  await browser.close();
  await site.close();
});

it('loads less than 200 KB of compressed script before the first interaction, its worker included', async () => {
  await visiting(
    browser,
    site,
    async ({ page }) => {
      await page.getByRole('button', { name: 'Open the demo shop' }).waitFor();
      await page.locator('.device.webgpu').waitFor(); // the worker has answered
      const loaded = [...site.scripts.values()].reduce((sum, bytes) => sum + bytes, 0);
      expect(site.scripts.size).toBeGreaterThanOrEqual(2);
      expect(loaded).toBeLessThan(MOST_SCRIPT);
    },
    { serviceWorkers: 'block' },
  );
});

it('names no address elsewhere in any script, the workers included', () => {
  const folder = new URL('../../dist/web/', import.meta.url);
  const scripts = readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.js'));
  expect(scripts.length).toBeGreaterThan(10);
  const addresses = scripts.flatMap((name) => {
    const text = readFileSync(new URL(name, folder), 'utf8');
    return [...text.matchAll(/\b(?:https?|wss?):\/\/([\w.-]+)/g)].map(([, host]) => host);
  });
  // Names of XML namespaces, and of what the notice about WebGPU advises.
  expect(addresses.filter((host) => !/^(www\.w3\.org|localhost\.?)$/.test(host))).toEqual([]);
});

it('has the licenses of the packages that the page and its workers bundle', () => {
  const text = readFileSync(new URL('../../dist/web/THIRD_PARTY_NOTICES.md', import.meta.url), 'utf8');
  const names = [...text.matchAll(/^## (\S+) [\d.]+ \([\w.-]+\)$/gm)].map(([, name]) => name);
  expect(names).toEqual(expect.arrayContaining(['comlink', 'hyparquet', 'preact', 'uplot']));
  expect(text.match(/Permission is hereby granted|Apache License/g)?.length).toBeGreaterThanOrEqual(names.length);
});

it('opens without a network after the first load', async () => {
  await visiting(browser, site, async ({ page }) => {
    await page.evaluate(async () => {
      await navigator.serviceWorker.ready;
      while (!navigator.serviceWorker.controller) await new Promise((resolve) => setTimeout(resolve, 50));
    });
    await page.context().setOffline(true);
    await page.reload();
    await page.getByRole('button', { name: 'Open the demo shop' }).click();
    await page.getByText('What is there').waitFor();
    await page.getByRole('link', { name: 'Train on it' }).click();
    await page.getByRole('button', { name: 'Start training' }).waitFor();
  });
});

it('without WebGPU says what is missing, and trains on a Parquet log with items, users and events', async () => {
  const other = await launch(false);
  try {
    await visiting(other, site, async ({ page, wrong }) => {
      await page.getByText('Attune continues on the CPU').waitFor();
      const { log, users } = parquetLog();
      const choose = async (button: string, name: string, buffer: Buffer) => {
        const chooser = page.waitForEvent('filechooser');
        await page.getByRole('button', { name: button }).click();
        await (await chooser).setFiles({ name, mimeType: 'application/octet-stream', buffer });
      };
      const dropped = await page.evaluateHandle(
        (bytes) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([Uint8Array.from(bytes)], 'shelves.parquet'));
          return transfer;
        },
        [...log],
      );
      await page.dispatchEvent('main', 'drop', { dataTransfer: dropped });
      await page.getByText('a Parquet file').waitFor();
      await page.getByText('2 of 482 rows').waitFor();
      await choose('Add a users file', 'nobody.csv', Buffer.from('user,drinks\nx,y\n'));
      await page.getByText('nobody.csv: none of its users is in the log').waitFor();
      await choose('Another users file', 'users.csv.gz', gzipSync(users));
      await page.getByText('40 with columns').waitFor();
      await choose('Add an items file', 'things.csv', Buffer.from(smallLog().items));
      await page.getByText('24 with titles').waitFor();
      await page.getByLabel('its rating').check();
      await page.getByText('What is there').waitFor();
      await screenshot(page, 'parquet');
      await page.getByRole('link', { name: 'Train on it' }).click();
      await fillSettings(page, { ...TINY, items: 'tower' });
      await page.getByLabel('Epochs').fill('2');
      await page.getByRole('button', { name: 'Start training' }).click();
      await page.locator('.status-line', { hasText: 'Finished' }).waitFor({ timeout: 600_000 });
      await page.locator('.page-head').getByRole('link', { name: 'Recommend' }).click();
      await page.getByLabel('Search').fill('number 7');
      await page.getByRole('button', { name: 'Add Thing number 7 to' }).first().click();
      await page.locator('.recommended .name').nth(9).waitFor();
      await page.getByRole('button', { name: /^Why/ }).first().click();
      await page.locator('.why .share').first().waitFor();
      await screenshot(page, 'tower');
      expect(await page.locator('.notice.error').allTextContents()).toEqual([]);
      expect(await page.locator('.device').getAttribute('title')).toBe('WebAssembly');
      expect(wrong).toEqual([]);
    });
  } finally {
    await other.close();
  }
});

const large = path.join(process.env.ATTUNE_DATA ?? '', 'ml-1m/ratings.csv');

it.skipIf(!process.env.ATTUNE_DATA || !existsSync(large))('reads a million rows without a pause', async () => {
  await visiting(browser, site, async ({ page }) => {
    await page.locator('.device.webgpu').waitFor();
    const chooser = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: 'Choose a file' }).click();
    const file = await chooser;
    const main = await mainThread(browser, page, async () => {
      await file.setFiles(large);
      await page.getByText('What is there').waitFor();
    });
    expect(main.longest, 'milliseconds of the longest task on the main thread').toBeLessThanOrEqual(50);
    const stats = await page.locator('.stat dd').allTextContents();
    expect(stats.slice(0, 3)).toEqual(['6,040', '3,416', '999,611']);
  });
});

it('is usable on a narrow screen: nothing is wider than it', async () => {
  await visiting(browser, site, async ({ page }) => {
    await page.setViewportSize({ width: 360, height: 740 });
    await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
    await page.getByRole('button', { name: 'Open the demo shop' }).click();
    await page.getByText('What is there').waitFor();
    for (const hash of ['#/data', '#/train', '#/recommend', '#/models', '#/bench']) {
      await page.evaluate((to) => {
        location.hash = to;
      }, hash);
      await page.locator('h1').first().waitFor();
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      expect(width, hash).toBeLessThanOrEqual(360);
    }
    const moving = await page.evaluate(() => document.getAnimations().length);
    expect(moving).toBe(0);
  });
});
