/** The settings of the page Train: a field for each declaration, checked by it. */
import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { allowedValues } from '../../model/recipes/setting.ts';
import { SETTINGS } from '../../model/recipes/settings.ts';
import { launch, openSettings, serveSite, type Site, visiting } from './page.ts';

let site: Site;
let browser: Browser;

beforeAll(async () => {
  site = await serveSite();
  browser = await launch(false);
});

afterAll(async () => {
  await browser.close();
  await site.close();
});

const onForm = (work: (page: Page) => Promise<void>) =>
  visiting(browser, site, async ({ page, wrong }) => {
    await page.getByLabel('Shoppers').selectOption('300');
    await page.getByRole('button', { name: 'Open the demo shop' }).click();
    await page.getByRole('link', { name: 'Train on it' }).click();
    await page.getByRole('button', { name: 'Start training' }).waitFor();
    await work(page);
    expect(wrong).toEqual([]);
  });

const field = (page: Page, label: string) => page.locator('form').getByLabel(label, { exact: true });
const start = (page: Page) => page.getByRole('button', { name: 'Start training' }).click();
const helpOf = (page: Page, label: string) =>
  field(page, label).evaluate(
    (one) => document.getElementById(one.getAttribute('aria-describedby') ?? '')?.textContent,
  );

it('has a field for every setting, with its choices, range, help and default', () =>
  onForm(async (page) => {
    expect(await page.locator('details[open]').count()).toBe(0);
    await openSettings(page);
    const names = await page
      .locator('form [name]')
      .evaluateAll((all) => all.map((one) => one.getAttribute('name') ?? ''));
    expect(names.sort()).toEqual(Object.keys(SETTINGS).sort());
    for (const [name, setting] of Object.entries(SETTINGS)) {
      const label = 'alias' in setting && setting.alias ? setting.alias : name;
      const help = await helpOf(page, label);
      expect(help).toContain(setting.help);
      expect(help).toContain(`default ${setting.default}`);
      if ('choices' in setting)
        expect((await field(page, label).locator('option').allTextContents()).slice(1)).toEqual([...setting.choices]);
      else expect(help).toContain(allowedValues(setting));
    }
    await field(page, 'norm').selectOption('rms');
    expect(await helpOf(page, 'norm')).toContain('RMSNorm');
    await page.getByLabel('Recipe').selectOption('sasrec-bce');
    expect(await field(page, 'loss').locator('option').first().textContent()).toBe('bce (recipe)');
  }));

it('refuses a value by its declaration, and opens what hides it', () =>
  onForm(async (page) => {
    await openSettings(page);
    const faults: [string, string, string][] = [
      ['d', 'wide', 'expected an integer from 4 to 8192, got wide'],
      ['d', '2', 'expected an integer from 4 to 8192, got 2'],
      ['dropout', '1', 'expected a number from 0 to below 1, got 1'],
      ['learningRate', '0', 'expected a number above 0 to 1e+38, got 0'],
    ];
    for (const [label, value, message] of faults) {
      await field(page, label).fill(value);
      expect(await helpOf(page, label)).toBe(message);
      await page.getByText('More settings').click(); // hides it
      await start(page);
      await field(page, label).and(page.locator(':focus')).waitFor();
      expect(await field(page, label).getAttribute('aria-invalid')).toBe('true');
      await field(page, label).fill('');
      expect(await field(page, label).getAttribute('aria-invalid')).toBeNull();
    }
    expect(await page.locator('.status-line').count()).toBe(0);
  }));

it('keeps what was filled in when settings do not fit together, and names the field', () =>
  onForm(async (page) => {
    await page.getByLabel('Epochs').fill('1');
    await openSettings(page);
    await field(page, 'heads').fill('3');
    await field(page, 'maxTokens').fill('64');
    await start(page);
    await page.locator('.notice.error', { hasText: 'heads 3: the width of a head' }).waitFor();
    await field(page, 'heads').and(page.locator(':focus')).waitFor();
    expect(await field(page, 'heads').getAttribute('aria-invalid')).toBe('true');
    await field(page, 'heads').fill('');
    await field(page, 'window').fill('100');
    await start(page);
    const notice = page.locator('.notice.error', { hasText: 'window 100: a batch of 64 tokens cannot hold it' });
    await notice.waitFor();
    expect(await page.getByLabel('Epochs').inputValue()).toBe('1');
    await page.getByRole('link', { name: 'Data' }).click();
    await page.getByRole('link', { name: 'Train', exact: true }).click();
    await openSettings(page);
    expect(await field(page, 'maxTokens').inputValue()).toBe('64');
    await field(page, 'window').fill('');
    expect(await notice.count()).toBe(0);
  }));
