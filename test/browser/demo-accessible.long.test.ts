import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { noteActive } from '../../src/postgres/analytics.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { addDemoWeb } from '../support/demo-web.ts';
import { CALM, Deployment, type WebProgram } from '../support/deployment.ts';
import { complaintsOf } from './axe.ts';
import { Chromium } from './chromium.ts';
import { misplaced } from './misplaced.ts';

const THEMES = ['light', 'dark'] as const;

let deployment: Deployment;
let web: WebProgram;
let browser: Chromium;

beforeAll(async () => {
  deployment = await Deployment.start('browser-accessible', {
    webs: 0,
    env: { ...CALM, ADMIN_PASSWORD: 'for the test', ROOMS_OPEN: 'doc:' },
  });
  [browser, web] = await Promise.all([Chromium.start(), addDemoWeb(deployment)]);
});
afterAll(async () => {
  await browser?.close();
  await deployment?.stop();
});

async function openPage(colorScheme: 'light' | 'dark' = 'light'): Promise<Page> {
  const page = await browser.open('about:blank');
  await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
  await page.goto(`${web.url}/`);
  await page.getByLabel('Your name').waitFor();
  return page;
}

async function signIn(name: string): Promise<Page> {
  const page = await openPage();
  await page.getByLabel('Your name').fill(name);
  await page.keyboard.press('Enter');
  await page.getByRole('status').getByText('live').waitFor();
  return page;
}

/** Somebody of each look that a card can have; those with most to show beside their names are friends who alert. */
async function fillWall(me: string): Promise<TestClient[]> {
  const people = await Promise.all(
    ['katherine.johnson', 'idle.person', 'busy.person', 'away.person'].map((userId) =>
      TestClient.connect(web.url, userId),
    ),
  );
  const [, idle, busy, away] = people;
  await idle?.beat('idle');
  await busy?.socket.emitWithAck('set_detail', { availability: 'busy', text: 'In a meeting until the late afternoon' });
  away?.leave();
  for (const person of [idle, busy]) {
    await person?.socket.emitWithAck('join_room', { roomId: 'doc:launch', data: { page: 2 } });
    for (const roomId of ['doc:budget', 'doc:minutes']) await person?.socket.emitWithAck('join_room', { roomId });
  }
  const token = await tokenFor('host', { scope: 'presence:write' });
  await rest(web.url, 'PUT', `/users/${me}/friends/katherine.johnson`, { token });
  const alert = { token: await tokenFor(me), body: { alert: 'always' } };
  await rest(web.url, 'PATCH', `/users/${me}/friends/katherine.johnson`, alert);
  return people;
}

/** Of the page: words that are not shown whole, though nothing says that they go on. */
function cutOff(): string[] {
  return [...document.querySelectorAll('main *')]
    .filter((element) => element.checkVisibility() && !element.matches('.hidden, .hidden *, svg *, .chart *, input'))
    .filter(({ clientWidth, scrollWidth }) => clientWidth > 0 && scrollWidth > clientWidth + 1)
    .map((element) => `${element.className}: ${element.textContent}`);
}

test('the card to sign in says what this is, has the cursor in the name, and axe has nothing against it in both themes', async () => {
  for (const theme of THEMES) {
    const page = await openPage(theme);
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('name');
    expect(await page.locator('.sign-in').textContent()).toMatch(/presence service .* who is online, idle or offline/);
    expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe(theme);
    expect(await complaintsOf(page)).toEqual([]);
    await page.close();
  }
});

test('axe has nothing against the page, from 320 to 1,280 px and in both themes, also while it may be old, and no words are cut off', async () => {
  const people = await fillWall('ada.lovelace');
  const page = await signIn('Ada Lovelace');
  await page.getByRole('button', { name: 'Add device' }).click();
  await page.getByRole('group', { name: 'Phone' }).getByRole('button', { name: 'No heartbeats' }).click();
  for (const look of ['active', 'idle', 'busy']) await page.locator(`.person.${look}`).first().waitFor();
  await page.getByRole('button', { name: 'Launch plan' }).click();
  await page.locator('.document.open', { hasText: '3 here' }).waitFor();
  await page.getByText('fullest: ').waitFor();
  for (const colorScheme of THEMES) {
    await page.emulateMedia({ colorScheme });
    await page.locator(`:root[data-theme=${colorScheme}]`).waitFor();
    for (const width of [320, 390, 768, 1280]) {
      await page.setViewportSize({ width, height: 900 });
      await page.evaluate(() => scrollTo(0, 0));
      const found = {
        axe: await complaintsOf(page),
        cut: await page.evaluate(cutOff),
        misplaced: await page.evaluate(misplaced),
      };
      expect(found, `${width} ${colorScheme}`).toEqual({ axe: [], cut: [], misplaced: [] });
    }
  }
  await page.getByRole('button', { name: 'Katherine Johnson' }).click();
  await page.getByRole('dialog').waitFor();
  expect(await complaintsOf(page)).toEqual([]);
  await page.keyboard.press('Escape');

  await web.end();
  await page.getByText('may be old: not connected').waitFor();
  const dimmed = () =>
    page
      .locator('.person .avatar')
      .first()
      .evaluate((avatar) => getComputedStyle(avatar).filter);
  expect(await dimmed()).toContain('opacity');
  expect(await complaintsOf(page)).toEqual([]);
  web = await addDemoWeb(deployment, new URL(web.url).port);
  await page.getByText('the last five minutes').waitFor();
  expect(await dimmed()).not.toContain('opacity');
  for (const person of people) person.leave();
  await page.close();
});

test('the chart begins with what was counted before the page was opened', async () => {
  const now = Date.now();
  for (const minutes of [4, 3, 2]) await noteActive(deployment.db, now - minutes * 60_000, 7);
  const page = await signIn('Grace Hopper');
  await page.locator('.chart canvas').waitFor();
  // Where three minutes ago is drawn there is the line's own colour, and where nobody counted there is not.
  await page.waitForFunction(() => {
    const canvas = document.querySelector<HTMLCanvasElement>('.chart canvas');
    const line = /^#(..)(..)(..)$/.exec(getComputedStyle(document.documentElement).getPropertyValue('--accent').trim());
    const { data } = canvas?.getContext('2d')?.getImageData(0, 0, canvas.width / 2, canvas.height) ?? { data: [] };
    const wanted = line?.slice(1).map((part) => Number.parseInt(part, 16)) ?? [];
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] === 255 && wanted.every((value, n) => data[at + n] === value)) return true;
    }
    return false;
  });
  await page.close();
});
