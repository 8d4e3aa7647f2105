/** Every page by keyboard alone, and as a screen reader finds it. */
import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Device } from '../../engine/index.ts';
import { SETTING_GROUPS } from '../../model/recipes/settings.ts';
import { packModel } from '../../model/storage/pack.ts';
import { smallModel } from '../recommend/model.fixture.ts';
import { launch, screenshot, serveSite, type Site, visiting } from './page.ts';

let site: Site;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  site = await serveSite();
  browser = await launch(false); // no kernels to compile: the pages are the same
});

afterAll(async () => {
  await browser.close();
  await site.close();
});

const focused = () =>
  page.evaluate(() => {
    const element = document.activeElement as HTMLElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const seen = box.width > 0 && box.bottom > 0 && box.top < innerHeight;
    return {
      at: (element as Marked).control,
      name: `${element.tagName} ${element.getAttribute('aria-label') ?? element.textContent?.slice(0, 30)}`,
      visible: seen && outlineStyle !== 'none' && outlineWidth !== '0px',
    };
  });

/** A control bears its number itself: other controls that appear or disappear do not change it. */
type Marked = HTMLElement & { control?: number };

/** What the Tab key must reach: every control that can be used, but the ones that follow another (radios, file fields). */
const controls = () =>
  page.evaluate(() => {
    const found = document.querySelectorAll<Marked>(
      'a[href], button, input, select, textarea, summary, [tabindex="0"]',
    );
    const usable = [...found].filter(
      (one) => one.tabIndex >= 0 && !(one as Marked & { disabled?: boolean }).disabled && one.checkVisibility(),
    );
    usable.forEach((one, i) => (one.control = i));
    return usable.map((one) => one.outerHTML.slice(0, 120));
  });

/** What is wrong with the page's markup, a line each. */
const faults = () =>
  page.evaluate(() => {
    const lines: string[] = [];
    const visible = <E extends Element>(selector: string) =>
      [...document.querySelectorAll<E>(selector)].filter((one) => one.checkVisibility());
    const nameOf = (one: Element) =>
      one.getAttribute('aria-label') ??
      (one.getAttribute('aria-labelledby') ?? '')
        .split(' ')
        .map((id) => document.getElementById(id)?.textContent ?? '')
        .join(' ') +
        ((one as HTMLInputElement).labels?.[0]?.textContent ?? '') +
        (one.matches('a, button, summary') ? one.textContent : '');
    for (const one of visible(
      'a, button, input, select, textarea, meter, progress, [role=img], [role=application], svg:not([aria-hidden])',
    ))
      if (one.getAttribute('aria-hidden') !== 'true' && nameOf(one).trim() === '')
        lines.push(`no name: ${one.outerHTML.slice(0, 120)}`);
    const levels = visible('h1, h2, h3, h4').map((one) => Number(one.tagName[1]));
    if (levels.filter((level) => level === 1).length !== 1) lines.push(`headings: ${levels} (one h1)`);
    levels.forEach((level, i) => {
      if (i > 0 && level > levels[i - 1] + 1) lines.push(`headings: h${level} after h${levels[i - 1]}`);
    });
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) lines.push(`twice: #${id}`);
    for (const one of document.querySelectorAll('[aria-labelledby], [aria-describedby]'))
      for (const id of `${one.getAttribute('aria-labelledby') ?? ''} ${one.getAttribute('aria-describedby') ?? ''}`
        .trim()
        .split(/\s+/))
        if (!ids.includes(id)) lines.push(`nothing is called #${id}`);
    for (const list of visible('ul, ol'))
      for (const child of list.children) if (child.tagName !== 'LI') lines.push(`${child.tagName} in a list`);
    for (const table of visible('table'))
      if (!table.querySelector('th, caption') && !table.getAttribute('aria-label'))
        lines.push('a table without headers');
    return lines;
  });

async function byKeyboard(name: string): Promise<void> {
  expect(await faults(), name).toEqual([]);
  const wanted = new Map((await controls()).entries());
  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  const first = wanted.size + 2;
  for (let n = 0; n < first && wanted.size > 0; n++) {
    await page.keyboard.press('Tab');
    const at = await focused();
    if (at.name.startsWith('BODY')) continue;
    expect(at.visible, `${name}: focus is seen on ${at.name}`).toBe(true);
    if (at.at !== undefined) wanted.delete(at.at);
  }
  expect([...wanted.values()], name).toEqual([]);
}

it('goes through every page by keyboard alone, and names what it finds', () =>
  visiting(browser, site, async (here) => {
    page = here.page;
    const device = await Device.open({ backend: 'cpu' });
    const model = Buffer.concat(await packModel(await smallModel(device)));
    device.close();
    await page.getByText('Attune continues on the CPU').waitFor();
    await byKeyboard('Data');
    await page.getByLabel('Shoppers').selectOption('300');
    await page.getByRole('button', { name: 'Open the demo shop' }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('What is there').waitFor();
    await byKeyboard('Data, opened');
    await page.getByRole('link', { name: 'Train on it' }).focus();
    await page.keyboard.press('Enter');
    await page.getByLabel('Recipe').getByText('sasrec-bce').waitFor({ state: 'attached' });
    await byKeyboard('Train');
    for (const summary of ['More settings', ...SETTING_GROUPS.map(({ title }) => title)]) {
      await page.getByText(summary, { exact: true }).focus();
      await page.keyboard.press('Enter');
    }
    await byKeyboard('Train, all settings');
    await page.getByRole('link', { name: 'Models' }).focus();
    await page.keyboard.press('Enter');
    const chooser = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: 'Open an .attune file' }).focus();
    await page.keyboard.press('Enter');
    await (await chooser).setFiles({ name: 'small.attune', mimeType: 'application/octet-stream', buffer: model });
    await page.getByRole('link', { name: 'Ask it' }).waitFor();
    await byKeyboard('Models');
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
    await byKeyboard('Recommend');
    await screenshot(page, 'keyboard');
    await page.getByRole('button', { name: 'Remove Item 3' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Remove Item 3' }).waitFor({ state: 'detached' });
    await expect.poll(async () => (await focused()).name).toContain('Remove Item 5');
    await page.getByRole('link', { name: 'Look inside' }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('Principal axes of the items').waitFor();
    await byKeyboard('Look inside');
    await page.getByRole('link', { name: 'Bench' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Run' }).waitFor();
    await byKeyboard('Bench');
    expect(here.wrong).toEqual([]);
  }));
