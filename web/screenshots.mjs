/**
 * The README's pictures: `node web/screenshots.mjs MODEL.attune` builds the application, opens a packed model of the demo
 * shop (`npm start`, then `attune pack`), trains a small one in the page, and writes docs/web-*.png. Without a GPU the
 * page's training takes some minutes.
 */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright';
import { build, preview } from 'vite';
import { chromiumArgs, findChromium } from '../cli/system.mjs';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const config = { configFile: path('vite.config.ts'), logLevel: 'error' };
const [model] = process.argv.slice(2);
if (!model) {
  process.stderr.write('usage: node web/screenshots.mjs MODEL.attune\n');
  process.exit(2);
}

await build(config);
mkdirSync(path('../docs'), { recursive: true });
const server = await preview({ ...config, preview: { port: 0 } });
const browser = await chromium.launch({
  executablePath: findChromium(),
  chromiumSandbox: false,
  args: [...chromiumArgs],
});
try {
  const page = await browser.newPage({
    viewport: { width: 1280, height: 860 },
    colorScheme: 'light',
    reducedMotion: 'reduce',
  });
  page.setDefaultTimeout(600_000);
  const take = (name, fullPage = false) => page.screenshot({ path: path(`../docs/web-${name}.png`), fullPage });
  const open = async (hash) => {
    await page.evaluate((to) => {
      location.hash = to;
    }, hash);
    await page.mouse.move(0, 0);
  };
  await page.goto(server.resolvedUrls.local[0]);
  await page.locator('.device.webgpu').waitFor();
  await page.getByLabel('Shoppers').selectOption('300');
  await page.getByRole('button', { name: 'Open the demo shop' }).click();
  await page.getByText('What is there').waitFor();
  await take('data-light');

  await open('#/models');
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Open an .attune file' }).click();
  await (await chooser).setFiles(model);
  await page.getByRole('link', { name: 'Ask it' }).click();
  await page.getByLabel('Search').fill('espresso');
  for (const n of [0, 2]) await page.locator('.found').getByRole('button').nth(n).click();
  await page.getByText('Computed in').waitFor(); // the kernels are compiled
  await page.waitForTimeout(20_000);
  await page.getByLabel('Search').fill('filter');
  await page.locator('.found').getByRole('button').first().click();
  await page.getByLabel('Search').fill('');
  await page.waitForTimeout(10_000);
  await page.locator('.recommended').getByRole('button', { name: /^Why/ }).first().click();
  await page.locator('.why .share').first().waitFor();
  await take('recommend-light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.setViewportSize({ width: 390, height: 844 });
  await take('recommend-narrow-dark');
  await page.setViewportSize({ width: 1280, height: 860 });

  await open('#/inside');
  await page.getByText('Principal axes of the items').waitFor();
  await page.getByRole('img', { name: /Attention over/ }).waitFor();
  await take('inside-dark');
  await page.emulateMedia({ colorScheme: 'light' });

  await open('#/train');
  await page.getByLabel('Epochs').fill('4');
  await page.getByText('More settings').click();
  await page
    .getByLabel('Any other setting')
    .fill('d=16 ff=32 blocks=1 window=20 budget=256 validateSteps=16 memory=off learningRate=0.01');
  await page.getByRole('button', { name: 'Start training' }).click();
  await page.locator('.status-line', { hasText: 'Finished' }).waitFor();
  await take('train-light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await take('train-dark');
} finally {
  await browser.close();
  await server.close();
}
