import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { addDemoWeb } from '../support/demo-web.ts';
import { CALM, Deployment, type WebProgram } from '../support/deployment.ts';
import { Chromium } from './chromium.ts';
import { misplaced } from './misplaced.ts';

const WIDTHS = [...Array.from({ length: 257 }, (_, n) => 320 + 5 * n), 559, 561, 979, 981];
const LONGEST_NAME = 'w'.repeat(128);

let deployment: Deployment;
let web: WebProgram;
let browser: Chromium;
const contexts: BrowserContext[] = [];

beforeAll(async () => {
  deployment = await Deployment.start('browser-look', { webs: 0, env: { ...CALM, ADMIN_PASSWORD: 'for the test' } });
  [browser, web] = await Promise.all([Chromium.start(), addDemoWeb(deployment)]);
});
afterEach(async () => {
  for (const context of contexts.splice(0)) await context.close();
  expect(browser.complaints.splice(0)).toEqual([]);
});
afterAll(async () => {
  await browser?.close();
  await deployment?.stop();
});

async function signIn(name: string, prepare?: (context: BrowserContext) => Promise<unknown>): Promise<Page> {
  const context = await browser.context.browser()?.newContext();
  if (!context) throw new Error('The browser has gone.');
  contexts.push(context);
  await prepare?.(context);
  const page = await context.newPage();
  page.on('pageerror', (error) => browser.complaints.push(error.message));
  await page.goto(`${web.url}/`);
  await page.getByLabel('Your name').fill(name);
  await page.keyboard.press('Enter');
  await page.getByRole('status').getByText('live').waitFor();
  return page;
}

test.each([
  ['usual', 'Barbara Liskov'],
  ['the longest', LONGEST_NAME],
])(
  'with %s names, at no width from 320 to 1,600 does anything in the headers lie over anything else',
  async (_, name) => {
    await signIn(name);
    const page = await signIn(name.replace(/^./, 'v'));
    await page.locator('.person').first().waitFor();
    const faults: Record<number, string[]> = {};
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 });
      const found = await page.evaluate(misplaced);
      if (found.length > 0) faults[width] = found;
    }
    expect(faults).toEqual({});
  },
);

test.each(['light', 'dark'] as const)('what one chooses from has the page’s own colours, %s', async (colorScheme) => {
  const page = await signIn('Frances Allen');
  await page.emulateMedia({ colorScheme });
  await page.locator(`:root[data-theme=${colorScheme}]`).waitFor();
  const looks = await page.evaluate(() => {
    // The browser says any colour in a way of its own.
    const probe = document.body.appendChild(document.createElement('i'));
    probe.style.background = 'var(--card)';
    probe.style.color = 'var(--ink)';
    const own = getComputedStyle(probe);
    const expected = { background: own.backgroundColor, color: own.color };
    const choices = [...document.querySelectorAll('select, select *')].map((element) => {
      const { appearance, backgroundColor, color, colorScheme } = getComputedStyle(element);
      return { name: element.localName, appearance, background: backgroundColor, color, colorScheme };
    });
    return { expected, choices };
  });
  expect(looks.choices.length).toBeGreaterThan(1);
  for (const look of looks.choices) expect(look).toMatchObject({ ...looks.expected, colorScheme });
  // Drawn by the browser it is grey in some.
  expect(looks.choices[0]).toMatchObject({ name: 'select', appearance: 'none' });
});

describe('a browser whose language', () => {
  test.each(['C', 'en_US', '', undefined])('is said to be %j shows the page and its chart', async (language) => {
    const page = await signIn('Radia Perlman', (context) =>
      context.addInitScript((said) => {
        Object.defineProperty(Navigator.prototype, 'language', { get: () => said });
      }, language),
    );
    await page.locator('.chart canvas').waitFor();
  });
});

test('where the chart cannot be had the page does without it', async () => {
  const page = await signIn('Adele Goldberg', (context) => context.route(/uPlot.*\.js$/, (route) => route.abort()));
  await page.getByText('The chart can’t be drawn here.').waitFor();
  await page.getByLabel('Message', { exact: true }).fill('Good morning');
  await page.keyboard.press('Enter');
  await page.getByText('Good morning').waitFor();
});
