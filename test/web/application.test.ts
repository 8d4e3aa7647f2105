/** What people do with the application, one after the other, in one window. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser, Page } from 'playwright';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { copyModel } from '../../model/storage/pack.ts';
import { NodeFiles, Recommender } from '../../recommend/node.ts';
import { openModel } from '../../recommend/sources/sources.ts';
import { FULL } from '../full.ts';
import {
  fillSettings,
  launch,
  leave,
  mainThread,
  screenshot,
  serveSite,
  type Site,
  smallLog,
  TINY,
  type Visit,
  visit,
} from './page.ts';

/** Each compiles its kernels anew. */
const TRAININGS = FULL ? 10 : 3;

let site: Site;
let browser: Browser;
let here: Visit;
let page: Page;
let failed: string | null = null;
const folder = mkdtempSync(path.join(tmpdir(), 'attune-web-'));

beforeAll(async () => {
  site = await serveSite();
  browser = await launch();
  here = await visit(browser, site);
  page = here.page;
});

// Each continues where the one before it ended.
beforeEach(({ skip }) => {
  if (failed !== null) skip(`after "${failed}"`);
});

afterEach(async ({ task }) => {
  await screenshot(page, task.name);
  if (task.result?.state === 'fail') failed ??= task.name;
});

afterAll(async () => {
  await leave(here.context, failed);
  await browser.close();
  await site.close();
  rmSync(folder, { recursive: true, force: true });
});

const open = (name: string) => page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name }).click();
const stat = (label: string) => page.locator('.stat', { hasText: label }).locator('dd');
/** A labeled number of the page, without the words around it. */
const figure = async (label: string): Promise<number> =>
  Number((await stat(label).evaluate((element) => element.firstChild?.textContent ?? '')).replaceAll(',', ''));
const top = () => page.locator('.recommended .name').allTextContents();

async function settings(epochs: number, more = TINY): Promise<void> {
  await page.getByLabel('Epochs').fill(String(epochs));
  await fillSettings(page, more);
}

/** As when the visitor turns to another tab, or comes back. */
const look = (away: boolean) =>
  page.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event('visibilitychange'));
  }, away);

/** Until the training that runs is done, or an error is shown. */
async function finished(): Promise<void> {
  await page.locator('.status-line', { hasText: /Finished|Stopped/ }).waitFor({ timeout: 600_000 });
  expect(await page.locator('.notice.error').allTextContents()).toEqual([]);
}

/** Groups of the validation users of the training that has ended. */
async function compareGroups(): Promise<void> {
  await page.getByRole('button', { name: 'Compare groups' }).click();
  const table = page.getByRole('table', { name: 'Who is served how well' });
  await table.getByRole('row', { name: /^1-10 \(few\) 8 / }).waitFor();
  expect(await table.getByRole('columnheader').allTextContents()).toEqual([
    'history',
    'Users',
    'NDCG@10',
    'in the top 10',
    'popularity',
    'Markov',
    'windowed Markov',
  ]);
  await page.getByLabel('Groups').selectOption('items: kind');
  await table.getByRole('row', { name: /^books / }).waitFor();
  await page
    .getByText(/How far lists are from the mix of the user's history .*: model \d\.\d\d, popularity \d/)
    .waitFor();
  await screenshot(page, '2-groups');
}

describe('the application', () => {
  it('takes a dropped log, and lets its columns be corrected', async () => {
    const { csv, items } = smallLog();
    const data = await page.evaluateHandle((text) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([text], 'shelves.csv', { type: 'text/csv' }));
      return transfer;
    }, csv);
    await page.dispatchEvent('main', 'drop', { dataTransfer: data });
    await page.getByText('no user column among who, what, when').waitFor();
    await page.getByLabel('User column').selectOption('who');
    await page.getByText('no item column').waitFor();
    await page.getByLabel('Item column').selectOption('what');
    await page.getByText('no time column').waitFor();
    await page.getByLabel('Time column').selectOption('when');
    await page.getByText('2 of 482 rows').waitFor();
    expect(await figure('Users')).toBe(40);
    expect(await figure('Items')).toBe(24);
    await page.getByText('2 interactions of 1 user and 1 item that have too few').waitFor();
    const chooser = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: 'Add an items file' }).click();
    await (await chooser).setFiles({ name: 'things.csv', mimeType: 'text/csv', buffer: Buffer.from(items) });
    await page.getByText('24 with titles').waitFor();
  });

  it(`frees what a training took: ${TRAININGS} in a row leave as many bytes as one`, async () => {
    await page.getByRole('link', { name: 'Train on it' }).click();
    const bytes: number[] = [];
    for (let run = 0; run < TRAININGS; run++) {
      await settings(1, { ...TINY, maxTokens: '512', validateUsers: '8' });
      await page.getByRole('button', { name: 'Start training' }).click();
      await finished();
      await page.waitForTimeout(200); // the device is asked once more
      bytes.push(Number(await page.locator('.device').getAttribute('data-bytes')));
      if (run === TRAININGS - 1) await compareGroups();
      await page.getByRole('button', { name: 'New training' }).click();
    }
    expect(bytes[0]).toBeGreaterThan(0);
    expect(bytes).toEqual(Array(TRAININGS).fill(bytes[0]));
  });

  it('trains in a worker while the page stays quick', async () => {
    await page.getByLabel('Name of the model').fill('round');
    await settings(1_000_000, { ...TINY, patience: '1000000' }); // until it is paused for good
    const main = await mainThread(browser, page, async () => {
      await page.getByRole('button', { name: 'Start training' }).click();
      await page.locator('.status-line', { hasText: 'Training' }).waitFor({ timeout: 600_000 });
      await expect.poll(() => figure('Best NDCG@10'), { timeout: 600_000 }).toBeGreaterThan(0);
    });
    expect(await figure('Tokens a second')).toBeGreaterThan(0);
    await screenshot(page, '2-training');
    expect(main.longest, 'milliseconds of the longest task on the main thread').toBeLessThanOrEqual(50);
  });

  it('continues after a reload in the middle', async () => {
    const before = await figure('Step');
    await page.reload();
    await page.getByText('is not finished').waitFor();
    await screenshot(page, '3-reloaded');
    await page.getByRole('button', { name: 'Continue it' }).click();
    await page.locator('.status-line', { hasText: 'Training' }).waitFor({ timeout: 600_000 });
    const step = await figure('Step');
    // From the last checkpoint, which every 32 steps has: not from the start. How far it has come since is a matter of speed.
    expect(step).toBeGreaterThan(before - 64);
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('Paused. Everything is saved.').waitFor();
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.locator('.status-line', { hasText: 'Training' }).waitFor({ timeout: 600_000 });
    await look(true);
    await page.waitForTimeout(2500);
    await look(false);
    const notice = page.getByText(/While this tab was hidden for \d+ s the training continued for \d+ step/);
    expect(Number((await notice.textContent())?.match(/for (\d+) step/)?.[1])).toBeGreaterThan(0);
    await expect.poll(() => figure('Best NDCG@10'), { timeout: 600_000 }).toBeGreaterThan(0.9); // the round is learned
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('Paused. Everything is saved.').waitFor();
  });

  it('recommends by clicking, and says why', async () => {
    await page.locator('.page-head').getByRole('link', { name: 'Recommend' }).click();
    await page.getByLabel('Search').fill('number 3');
    for (const title of ['Thing number 3'])
      await page
        .getByRole('button', { name: `Add ${title} to` })
        .first()
        .click();
    await page.getByLabel('Search').fill('');
    for (const n of [4, 5])
      await page
        .locator('.found')
        .getByRole('button', { name: `Add Thing number ${n} to` })
        .click();
    await page.locator('.recommended .name').nth(9).waitFor();
    await expect.poll(async () => (await top())[0]).toBe('Thing number 6');
    await page.getByRole('button', { name: 'Why Thing number 6' }).click();
    await page.locator('.why .share').first().waitFor();
    expect(await page.locator('.why').textContent()).toMatch(/because of Thing number/);
    const map = page.locator('.why').getByRole('application', { name: /Arrow keys go from cell to cell/ });
    await map.getByRole('img', { name: /Attention over 3 events/ }).waitFor();
    await map.press('ArrowRight');
    await page.locator('.why').getByText('Thing number 5 looks at Thing number 3').waitFor();
    await screenshot(page, '5-recommend');
    await page.getByRole('button', { name: 'Why Thing number 6' }).click();
    await page.getByLabel('Only items where').fill('kind=books');
    await page.getByLabel('Only items where').blur();
    await expect.poll(async () => (await top()).every((title) => Number(title.split(' ')[2]) % 3 === 2)).toBe(true);
    await page.getByLabel('Only items where').fill('colour=red');
    await page.getByLabel('Only items where').blur();
    await page.locator('.notice.error', { hasText: 'colour' }).waitFor();
    await page.getByLabel('Only items where').fill('');
    await page.getByLabel('Only items where').blur();
    await expect.poll(async () => (await top())[0]).toBe('Thing number 6');
  });

  it('keeps the mix of the history, and shows both', async () => {
    const before = await top();
    await page.getByLabel('Keep the mix of').selectOption('kind');
    await page.getByLabel(/^Weight/).fill('1');
    const mix = page.getByRole('table', { name: 'The mix of the history' });
    await expect
      .poll(() => mix.locator('tbody tr').allTextContents())
      .toEqual(expect.arrayContaining([expect.stringMatching(/^books33.%\d\d.%$/)]));
    await page.getByText(/Apart by 0\.0\d/).waitFor();
    // Things of three kinds take turns.
    const kinds = (await top()).map((title) => Number(title.split(' ')[2]) % 3);
    for (const at of [0, 3, 6]) expect([...kinds.slice(at, at + 3)].sort()).toEqual([0, 1, 2]);
    await screenshot(page, '5-mix');
    await page.getByLabel('Keep the mix of').selectOption('');
    await expect.poll(top).toEqual(before);
  });

  it('adapts to the history and forgets it again', async () => {
    const before = await top();
    await page.getByRole('button', { name: 'Adapt to my history' }).click();
    await page.getByText(/Adapted to 2 steps of the history: their loss went from/).waitFor();
    await expect.poll(top).not.toEqual(before);
    await screenshot(page, '5-adapted');
    await page.getByRole('button', { name: 'Forget' }).click();
    await page.getByText('Not adapted').waitFor();
    await expect.poll(top).toEqual(before);
  });

  it('answers a click with little work on the main thread', async () => {
    const clicks = 12;
    const main = await mainThread(browser, page, () =>
      page.evaluate(async (n) => {
        const answer = document.querySelector('[aria-labelledby=next-title]') as HTMLElement;
        const buttons = document.querySelectorAll<HTMLButtonElement>('.found button');
        for (const button of [...buttons].slice(0, n)) {
          await new Promise<void>((resolve) => {
            const seen = new MutationObserver(() => {
              seen.disconnect();
              resolve();
            });
            seen.observe(answer, { subtree: true, childList: true, characterData: true, attributes: true });
            button.click();
          });
        }
      }, clicks),
    );
    expect(main.sum / clicks, 'milliseconds of the main thread').toBeLessThan(25);
    await page.getByRole('button', { name: 'Clear' }).click();
    for (const n of [3, 4, 5])
      await page
        .locator('.found')
        .getByRole('button', { name: `Add Thing number ${n} to` })
        .click();
    await expect.poll(async () => (await top())[0]).toBe('Thing number 6');
  });

  it('shows the items on a map, and where attention goes', async () => {
    await open('Look inside');
    await page.getByText('Principal axes of the items').waitFor();
    await page.getByLabel('Layer and head').selectOption('layer 1, head 1');
    await page.getByRole('img', { name: /Attention over 3 events/ }).waitFor();
    await page.getByRole('button', { name: 'Time the kernels of a step' }).click();
    await page.getByText(/of GPU time for|gives no times of kernels/).waitFor({ timeout: 600_000 });
  });

  it('exports a model that Node takes up, with the same top ten, and takes it back as a file and as a folder', async () => {
    await open('Recommend');
    await page.locator('.recommended .name').nth(9).waitFor();
    const ours = await top();
    await open('Models');
    const download = page.waitForEvent('download');
    await page.getByRole('article', { name: 'round' }).getByRole('button', { name: 'Export' }).click();
    const file = path.join(folder, (await download).suggestedFilename());
    await (await download).saveAs(file);
    const recommender = await Recommender.load(file);
    const { items } = await recommender.recommend({ history: ['thing-3', 'thing-4', 'thing-5'], k: 10 });
    recommender.close();
    expect(items.map(({ title }) => title)).toEqual(ours);

    await page.getByRole('button', { name: 'Delete round' }).click();
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByRole('article', { name: 'round' }).waitFor({ state: 'detached' });

    const chooser = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: 'Open an .attune file' }).click();
    await (await chooser).setFiles(file);
    await page.getByText('is in this browser now').waitFor();
    await screenshot(page, '7-imported');
    const unpacked = path.join(folder, 'from-node');
    const packed = await openModel(new Blob([readFileSync(file)]));
    await copyModel(packed, await NodeFiles.create(unpacked));
    await page.getByTestId('folder').setInputFiles(unpacked);
    await page.getByText('"from-node" is in this browser now').waitFor();
    await page.getByRole('link', { name: 'Ask it' }).click();
    await page.getByLabel('Search').waitFor();
    for (const n of [3, 4, 5])
      await page
        .locator('.found')
        .getByRole('button', { name: `Add Thing number ${n} to` })
        .click();
    await expect.poll(top).toEqual(ours);
  });

  it('says what is wrong with a file that is no model', async () => {
    await open('Models');
    const chooser = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: 'Open an .attune file' }).click();
    await (await chooser).setFiles({ name: 'x.attune', mimeType: 'text/plain', buffer: Buffer.from('no model') });
    await page.locator('.notice.error', { hasText: 'x.attune' }).waitFor();
  });

  it('reports a lost device, and continues on a new one', async () => {
    await open('Models');
    await page.getByRole('article', { name: 'shelves' }).first().getByRole('link', { name: 'Recommend' }).waitFor();
    await open('Data');
    await page.getByLabel('Shoppers').selectOption('300');
    await page.getByRole('button', { name: 'Open the demo shop' }).click();
    await page.getByRole('link', { name: 'Train on it' }).click();
    await settings(30);
    await page.getByRole('button', { name: 'Start training' }).click();
    await page.locator('.status-line', { hasText: 'Training' }).waitFor({ timeout: 600_000 });
    await page.workers()[0].evaluate(() => {
      const { prototype } = GPUDevice;
      const original = prototype.createCommandEncoder;
      prototype.createCommandEncoder = function (...args) {
        prototype.createCommandEncoder = original;
        this.destroy(); // as a reset of the driver does
        return original.apply(this, args);
      };
    });
    await page.getByText('The graphics device failed.').waitFor();
    await screenshot(page, '9-device-lost');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.locator('.status-line', { hasText: 'Compiling' }).waitFor();
    expect(await page.locator('.notice.error').count()).toBe(0);
  });

  it('kept to its policy all along, and asked for nothing elsewhere', () => {
    expect(here.wrong).toEqual([]);
  });
});
