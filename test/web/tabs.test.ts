/** Two tabs of one browser, and one model. */
import { expect, it } from 'vitest';
import { fillSettings, launch, serveSite, TINY, visiting } from './page.ts';

it('lets one tab at a time write a model: another gets a message, until the first one is closed', async () => {
  const site = await serveSite();
  const browser = await launch(false);
  try {
    await visiting(browser, site, async ({ context, page, wrong }) => {
      const first = await context.newPage();
      first.setDefaultTimeout(600_000);
      await first.goto(site.url);
      await first.getByLabel('Shoppers').selectOption('300');
      await first.getByRole('button', { name: 'Open the demo shop' }).click();
      await first.getByRole('link', { name: 'Train on it' }).click();
      await first.getByLabel('Name of the model').fill('shared');
      await fillSettings(first, { ...TINY, patience: '1000000' });
      await first.getByRole('button', { name: 'Start training' }).click();
      await first.locator('.status-line', { hasText: 'Training' }).waitFor();

      await page.getByRole('link', { name: 'Models' }).click();
      await expect
        .poll(async () => {
          await page.reload();
          await page.locator('.empty, article').first().waitFor();
          return page.getByRole('article', { name: 'shared' }).count();
        })
        .toBe(1);
      const locked = page.getByText('shared: another tab is writing this model; close it or wait');
      const remove = async () => {
        await page.getByRole('button', { name: 'Delete shared' }).click();
        await page.getByRole('button', { name: 'Delete', exact: true }).click();
      };
      await remove();
      await locked.waitFor();
      await page.getByRole('button', { name: 'Continue training' }).click();
      await locked.waitFor();
      expect(await page.getByRole('heading', { name: 'shared' }).count()).toBe(1);

      await first.close();
      await page.getByRole('button', { name: 'Continue', exact: true }).click();
      await page.locator('.status-line', { hasText: 'Training' }).waitFor();
      // Its own training is in the way, too.
      await page.getByRole('link', { name: 'Models' }).click();
      await remove();
      await page.getByText('shared: this tab is writing this model; pause the training or wait').waitFor();
      expect(wrong).toEqual([]);
    });
  } finally {
    await browser.close();
    await site.close();
  }
});
