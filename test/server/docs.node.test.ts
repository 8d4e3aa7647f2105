/** The page at /docs, in Chromium: it works under its own policy, and sends requests that the server takes. */
import { chromium } from 'playwright';
import { expect, test } from 'vitest';
import { chromiumArgs, findChromium } from '../../scripts/system.mjs';
import { start } from './start.ts';

const executablePath = findChromium();

test.skipIf(!executablePath)('/docs shows the routes and calls one, without a breach of its policy', async () => {
  const server = await start();
  const url = server.url.replace('127.0.0.1', 'localhost');
  const browser = await chromium.launch({ executablePath, args: [...chromiumArgs] });
  try {
    const page = await browser.newPage();
    const said: string[] = [];
    page.on('console', (message) => message.type() === 'error' && said.push(message.text()));
    page.on('pageerror', (error) => said.push(String(error)));
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(`${url}/docs/`);
    await page.getByText('/v1/recommendations', { exact: true }).click();
    await page.getByRole('button', { name: 'Try it out' }).click();
    await page.getByRole('button', { name: 'Execute' }).click();
    const status = page.locator('.live-responses-table tbody .response-col_status');
    await status.waitFor();
    expect(await status.textContent()).toMatch(/^200/);
    expect(said).toEqual([]);
    expect(asked.filter((one) => !one.startsWith(url) && !one.startsWith('data:'))).toEqual([]);
  } finally {
    await browser.close();
    await server.close();
  }
});
