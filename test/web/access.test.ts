/** Every page by keyboard alone, and as a screen reader finds it. */
import type { Browser } from 'playwright';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Device } from '../../engine/index.ts';
import { SETTING_GROUPS } from '../../model/recipes/settings.ts';
import { packModel } from '../../model/storage/pack.ts';
import { smallModel } from '../recommend/model.fixture.ts';
import { byKeyboard, focused } from './access.ts';
import { launch, screenshot, serveSite, type Site, visiting } from './page.ts';

let site: Site;
let browser: Browser;

beforeAll(async () => {
  site = await serveSite();
  browser = await launch(false); // no kernels to compile: the pages are the same
});

afterAll(async () => {
  await browser.close();
  await site.close();
});

it('goes through every page by keyboard alone, and names what it finds', () =>
  visiting(browser, site, async (here) => {
    const { page } = here;
    const device = await Device.open({ backend: 'cpu' });
    const model = Buffer.concat(await packModel(await smallModel(device)));
    device.close();
    await page.getByText('Attune continues on the CPU').waitFor();
    await byKeyboard(page, 'Data');
    await page.getByLabel('Shoppers').selectOption('300');
    await page.getByRole('button', { name: 'Open the demo shop' }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('What is there').waitFor();
    await byKeyboard(page, 'Data, opened');
    await page.getByRole('link', { name: 'Train on it' }).focus();
    await page.keyboard.press('Enter');
    await page.getByLabel('Recipe').getByText('sasrec-bce').waitFor({ state: 'attached' });
    await byKeyboard(page, 'Train');
    for (const summary of ['More settings', ...SETTING_GROUPS.map(({ title }) => title)]) {
      await page.getByText(summary, { exact: true }).focus();
      await page.keyboard.press('Enter');
    }
    await byKeyboard(page, 'Train, all settings');
    await page.getByRole('link', { name: 'Models' }).focus();
    await page.keyboard.press('Enter');
    const chooser = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: 'Open an .attune file' }).focus();
    await page.keyboard.press('Enter');
    await (await chooser).setFiles({ name: 'small.attune', mimeType: 'application/octet-stream', buffer: model });
    await page.getByRole('link', { name: 'Ask it' }).waitFor();
    await byKeyboard(page, 'Models');
    await page.getByRole('link', { name: 'Ask it' }).focus();
    await page.keyboard.press('Enter');
    for (const title of ['Item 3', 'Item 5']) {
      await page.getByLabel('Search').focus();
      await page.keyboard.press('ControlOrMeta+A');
      await page.keyboard.type(title);
      await page
        .getByRole('button', { name: `Add ${title} to the history` })
        .first()
        .focus();
      await page.keyboard.press('Space');
    }
    await page.getByRole('button', { name: 'Remove Item 5' }).waitFor();
    const why = page.locator('.recommended').getByRole('button', { name: /^Why/ }).first();
    await why.focus();
    await page.keyboard.press('Enter');
    await page
      .locator('.why')
      .getByRole('img', { name: /Attention over/ })
      .waitFor();
    await byKeyboard(page, 'Recommend');
    await screenshot(page, 'keyboard');
    await page.getByRole('button', { name: 'Remove Item 3' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Remove Item 3' }).waitFor({ state: 'detached' });
    await expect.poll(async () => (await focused(page)).name).toContain('Remove Item 5');
    await page.getByRole('link', { name: 'Look inside' }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('Principal axes of the items').waitFor();
    await byKeyboard(page, 'Look inside');
    await page.getByRole('link', { name: 'Bench' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Run' }).waitFor();
    await byKeyboard(page, 'Bench');
    expect(here.wrong).toEqual([]);
  }));
