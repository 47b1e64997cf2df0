import { mkdir } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { addDemoWeb } from '../support/demo-web.ts';
import { CALM, Deployment, eventually, type WebProgram } from '../support/deployment.ts';
import type { Desk, Tab } from './desk.ts';
import { misplaced } from './misplaced.ts';
import { OTHERS } from './others.ts';

const PICTURES = '.data/screenshots';

let deployment: Deployment;
let web: WebProgram;

beforeAll(async () => {
  await mkdir(PICTURES, { recursive: true });
  deployment = await Deployment.start('browsers-demo', { webs: 0, env: CALM });
  web = await addDemoWeb(deployment);
});
afterAll(() => deployment?.stop());

const says = (tab: Tab, selector: string, words: string) =>
  eventually(
    () => tab.evaluate((which) => document.querySelector(which)?.textContent ?? '', selector),
    (text) => text.includes(words),
    15_000,
  );

describe.each(OTHERS)('the demo page in %s', (name, start) => {
  let browser: Desk;
  const tabs = new Set<Tab>();

  beforeAll(async () => {
    browser = await start();
  });
  afterEach(async () => {
    for (const tab of tabs) await close(tab);
    expect(browser.complaints).toEqual([]);
  });
  afterAll(() => browser?.close());

  async function close(tab: Tab): Promise<void> {
    tabs.delete(tab);
    await tab.close();
  }

  async function signIn(person: string): Promise<Tab> {
    const tab = await browser.open(`${web.url}/`);
    tabs.add(tab);
    await says(tab, '.sign-in', 'Your name');
    await tab.type('.sign-in input', `${person}\n`);
    await says(tab, '.pill', 'live');
    return tab;
  }

  const wallSays = (tab: Tab, person: string, words: RegExp) =>
    eventually(
      () =>
        tab.evaluate((of) => {
          const cards = [...document.querySelectorAll('.person')].map((card) => card.textContent ?? '');
          return cards.find((text) => text.includes(of)) ?? '';
        }, person),
      (text) => words.test(text),
      15_000,
    );

  test('shows itself and its chart, and two people see each other come, write and leave', async () => {
    const ada = await signIn('Ada Lovelace');
    await eventually(
      () => ada.evaluate(() => document.querySelector('.chart canvas') !== null),
      (isDrawn) => isDrawn,
      15_000,
    );
    const grace = await signIn('Grace Hopper');
    await wallSays(ada, 'Grace Hopper', /active now/);
    await wallSays(grace, 'Ada Lovelace', /active now/);
    await grace.type('.chat input', 'Good morning\n');
    await says(ada, '.chat', 'Good morning');
    await close(grace);
    await wallSays(ada, 'Grace Hopper', /just left/);
    await eventually(
      () => ada.evaluate(() => localStorage.getItem('rollcall.seen') ?? ''),
      (kept) => kept.includes('grace.hopper'),
    );
    await ada.reload();
    await says(ada, '.pill', 'live');
    await wallSays(ada, 'Grace Hopper', /just left/);
  });

  test('has everything in its place, and its own colours in the light and in the dark', async () => {
    const tab = await signIn('Barbara Liskov');
    await signIn('Margaret Hamilton');
    await tab.show();
    for (let look = 1; look <= 2; look++) {
      const theme = await tab.evaluate(() => document.documentElement.dataset.theme);
      await tab.screenshot(`${PICTURES}/${name.toLowerCase()}-${theme}.png`);
      expect(await tab.evaluate(misplaced)).toEqual([]);
      const drawn = await tab.evaluate(() => getComputedStyle(document.querySelector('select') as Element).appearance);
      expect(drawn).toBe('none');
      await tab.evaluate(() => document.querySelector<HTMLElement>('.top button')?.click());
      await eventually(
        () => tab.evaluate(() => document.documentElement.dataset.theme),
        (now) => now !== theme,
      );
    }
  });
});

// Only there pages are told that their reader's language is one that no browser knows.
describe.each(OTHERS.filter(([name]) => name === 'WebKit'))('%s on a machine without a language', (_, start) => {
  test('says it is "C", and the pages of the service come up all the same', async () => {
    const browser = await start();
    const documents = await browser.open(`${web.url}/docs`);
    expect(await documents.evaluate(() => navigator.language)).toBe('C');
    await says(documents, '.swagger-ui .opblock-tag-section', 'Who is active');
    await browser.close();
  });
});
