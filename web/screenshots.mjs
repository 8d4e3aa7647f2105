/**
 * The guides' pictures: `node web/screenshots.mjs MODEL.attune` builds the application, opens a packed model of the demo
 * shop (`npm start`, then `attune pack`), trains a small one in the page, and writes docs/web-*.png. Without a GPU the
 * page's training takes some minutes.
 */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright';
import { build, preview } from 'vite';
import { chromiumArgs, findChromium } from '../scripts/system.mjs';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const config = { configFile: path('vite.config.ts'), logLevel: 'error' };
const WIDE = { width: 1280, height: 860 };
const NARROW = { width: 390, height: 844 };
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
    viewport: WIDE,
    colorScheme: 'light',
    reducedMotion: 'reduce',
  });
  page.setDefaultTimeout(600_000);
  const open = async (hash) => {
    await page.evaluate((to) => {
      location.hash = to;
    }, hash);
    await page.mouse.move(0, 0);
  };
  /** The page as it is, in a theme, wide or as on a phone. */
  const take = async (name, theme, viewport = WIDE) => {
    await page.emulateMedia({ colorScheme: theme });
    await page.setViewportSize(viewport);
    await page.waitForTimeout(500); // charts take their new size
    await page.screenshot({ path: path(`../docs/web-${name}-${theme}.png`) });
    await page.setViewportSize(WIDE);
  };
  const add = async (words) => {
    await page.getByLabel('Search').fill(words);
    await page.locator('.found').getByRole('button').first().click();
    await page.getByText('Computed in').waitFor();
    await page.waitForTimeout(2000); // a click each
  };
  await page.goto(server.resolvedUrls.local[0]);
  await page.locator('.device.webgpu').waitFor();
  await page.getByLabel('Shoppers').selectOption('300');
  await page.getByRole('button', { name: 'Open the demo shop' }).click();
  await page.getByText('What is there').waitFor();
  await take('data', 'light');

  await open('#/models');
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Open an .attune file' }).click();
  await (await chooser).setFiles(model);
  await page.getByRole('link', { name: 'Ask it' }).click();
  for (const words of ['espresso machine', 'espresso beans', 'espresso cups', 'coffee grinder']) await add(words);
  await page.getByLabel('Search').fill('');
  await page.getByLabel('Search').blur();
  await page.mouse.move(0, 0);
  await take('recommend', 'light');
  await page.locator('.recommended').getByRole('button', { name: /^Why/ }).first().click();
  await page
    .locator('.why')
    .getByRole('img', { name: /Attention over/ })
    .waitFor();
  await page.mouse.move(0, 0);
  const toList = () => page.locator('[aria-labelledby=next-title]').evaluate((card) => card.scrollIntoView());
  await toList();
  await take('why', 'dark');
  await page.setViewportSize(NARROW);
  await toList();
  await take('why-narrow', 'light', NARROW);
  await page.locator('.recommended').getByRole('button', { name: /^Why/ }).first().click();
  await page.evaluate(() => scrollTo(0, 0));
  await take('recommend-narrow', 'dark', NARROW);

  await open('#/inside');
  await page.getByText('Principal axes of the items').waitFor();
  await page.getByRole('img', { name: /Attention over/ }).waitFor();
  await take('inside', 'dark');

  await open('#/train');
  await page.getByLabel('Name of the model').fill('my-shop');
  await page.getByLabel('Epochs').fill('16');
  await page.getByText('More settings').click();
  await page.getByText('Encoder and training').click();
  const settings = { d: 32, ff: 64, blocks: 1, window: 20, maxTokens: 256, validateSteps: 32, learningRate: 0.005 };
  for (const [label, value] of Object.entries(settings))
    await page.locator('form').getByLabel(label, { exact: true }).fill(String(value));
  await page.getByRole('button', { name: 'Start training' }).click();
  await page.locator('.status-line', { hasText: 'Finished' }).waitFor();
  await page.mouse.move(0, 0);
  for (const theme of ['light', 'dark']) await take('train', theme);
  await take('train-narrow', 'light', NARROW);
} finally {
  await browser.close();
  await server.close();
}
