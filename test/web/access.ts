/** A page by keyboard alone, and as a screen reader finds it. */
import type { Page } from 'playwright';
import { expect } from 'vitest';

/** What has the focus. */
export const focused = (page: Page) =>
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

/** A control bears its number itself: what comes or goes beside it changes nothing. */
type Marked = HTMLElement & { control?: number };

/** What the Tab key must reach: every control that can be used, but the ones that follow another (radios, file fields). */
const controls = (page: Page) =>
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
export const faults = (page: Page) =>
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

/** The Tab key reaches every control, and shows where it is; the markup has no fault. */
export async function byKeyboard(page: Page, name: string): Promise<void> {
  expect(await faults(page), name).toEqual([]);
  const wanted = new Map((await controls(page)).entries());
  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  const first = wanted.size + 2;
  for (let n = 0; n < first && wanted.size > 0; n++) {
    await page.keyboard.press('Tab');
    const at = await focused(page);
    if (at.name.startsWith('BODY')) continue;
    expect(at.visible, `${name}: focus is seen on ${at.name}`).toBe(true);
    if (at.at !== undefined) wanted.delete(at.at);
  }
  expect([...wanted.values()], name).toEqual([]);
}
