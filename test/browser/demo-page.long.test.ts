import { mkdir } from 'node:fs/promises';
import { decodeJwt } from 'jose';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { rest, tokenFor } from '../support/client.ts';
import { addDemoWeb } from '../support/demo-web.ts';
import { BRISK, Deployment, eventually, type WebProgram } from '../support/deployment.ts';
import { complaintsOf } from './axe.ts';
import { Chromium } from './chromium.ts';

const PICTURES = '.data/screenshots';

let deployment: Deployment;
let web: WebProgram;
let browser: Chromium;

beforeAll(async () => {
  await mkdir(PICTURES, { recursive: true });
  // A countdown has to be seen before it is over, and nobody is to be missed while the machine is busy.
  const env = { ...BRISK, PRESENCE_TTL_SECONDS: '5', ADMIN_PASSWORD: 'for the test' };
  deployment = await Deployment.start('browser-demo', { webs: 0, env });
  [browser, web] = await Promise.all([Chromium.start(), addDemoWeb(deployment)]);
});
afterEach(async () => {
  for (const page of browser.context.pages().slice(1)) await page.close();
  expect(browser.complaints.splice(0)).toEqual([]);
});
afterAll(async () => {
  await browser?.close();
  await deployment?.stop();
});

/** Signs in by keyboard alone. */
async function signIn(name: string): Promise<Page> {
  const page = await browser.open(`${web.url}/`);
  await page.getByLabel('Your name').focus();
  await page.keyboard.type(name);
  await page.keyboard.press('Enter');
  await page.getByRole('status').getByText('live').waitFor();
  return page;
}

/** What the wall says of somebody. */
async function wallSays(page: Page, name: string, pattern: RegExp, withinMs = 15_000): Promise<void> {
  const card = page.locator('.person', { hasText: name });
  await eventually(
    async () => ((await card.count()) > 0 ? ((await card.first().textContent()) ?? '') : ''),
    (text) => pattern.test(text),
    withinMs,
  );
}

test('two people sign in on two pages and see each other; one page is closed, and the other shows it', async () => {
  const ada = await signIn('Ada Lovelace');
  const grace = await signIn('Grace Hopper');
  await wallSays(ada, 'Grace Hopper', /active now/);
  // Behind the newer tab the older page is hidden, which makes nobody idle.
  await wallSays(grace, 'Ada Lovelace', /active now/);
  await grace.close();
  await wallSays(ada, 'Grace Hopper', /just left/);
  await eventually(
    () => ada.locator('.journal').textContent(),
    (text) => /Grace Hopper left/.test(text ?? ''),
  );
});

test('whoever has left is still on the wall after a reload, with the last seen', async () => {
  const mary = await signIn('Mary Jackson');
  const alan = await signIn('Alan Turing');
  await wallSays(alan, 'Mary Jackson', /active now/);
  await mary.close();
  await wallSays(alan, 'Mary Jackson', /just left/);
  await eventually(
    () => alan.evaluate(() => localStorage.getItem('rollcall.seen') ?? ''),
    (kept) => kept.includes('mary.jackson'),
  );
  await alan.reload();
  await wallSays(alan, 'Mary Jackson', /just left/);
});

test('the controls act and say what they pretend, and for how long: no heartbeats and no network end in silence, and both are survived', async () => {
  const joan = await signIn('Joan Clarke');
  const annie = await signIn('Annie Easley');
  await wallSays(joan, 'Annie Easley', /active now/);
  for (const control of ['No heartbeats', 'No network']) {
    await annie.getByRole('button', { name: control }).click();
    await annie.locator('.pretends', { hasText: /As if the .*Counts as gone in \d/ }).waitFor();
    await wallSays(joan, 'Annie Easley', /just left/);
    await annie.locator('.pretends', { hasText: 'It counts as gone.' }).waitFor();
    await annie.getByRole('button', { name: control }).click();
    await wallSays(joan, 'Annie Easley', /active now/, 20_000);
  }
  await annie.getByLabel('For how long').selectOption('for 15 minutes');
  await annie.getByRole('button', { name: 'Appear inactive' }).click();
  await wallSays(joan, 'Annie Easley', /just left/);
  await annie.getByText(/You look as if you had left; shown again in 14 min \d\d s/).waitFor();
  await annie.getByRole('button', { name: 'Appear inactive' }).click();
  await wallSays(joan, 'Annie Easley', /active now/);
});

test('a second device keeps its person active while the first has no network', async () => {
  const katherine = await signIn('Katherine Johnson');
  const dorothy = await signIn('Dorothy Vaughan');
  await wallSays(katherine, 'Dorothy Vaughan', /active now/);
  await dorothy.getByRole('button', { name: 'Add device' }).click();
  await dorothy.locator('.own-devices li').nth(1).getByText('connected').waitFor();
  await dorothy.getByRole('group', { name: 'This tab' }).getByRole('button', { name: 'No network' }).click();
  await eventually(
    async () => {
      const token = await tokenFor('dorothy.vaughan');
      return rest(web.url, 'GET', '/users/dorothy.vaughan/sessions', { token });
    },
    ({ body }) => body.sessions.length === 1,
    20_000,
  );
  await wallSays(katherine, 'Dorothy Vaughan', /active now/);
  expect(await katherine.locator('.journal').textContent()).not.toMatch(/Dorothy Vaughan (left|silent)/);
  await dorothy.getByRole('button', { name: 'Close' }).click();
  await wallSays(katherine, 'Dorothy Vaughan', /just left/);
});

test('a calendar and a call server speak, the stronger is shown and named by Why?, and an agent comes and goes by a lease', async () => {
  const hedy = await signIn('Hedy Lamarr');
  const rosa = await signIn('Rosa Parks');
  await wallSays(hedy, 'Rosa Parks', /active now/);
  await rosa.getByRole('button', { name: 'A calendar says' }).click();
  await wallSays(hedy, 'Rosa Parks', /busy.*In a meeting/);
  await rosa.getByRole('button', { name: 'A call server says' }).click();
  await wallSays(hedy, 'Rosa Parks', /do not disturb.*On a call/);
  await rosa.getByRole('button', { name: 'Why?' }).click();
  await rosa.getByText('A call server: of all who say something it is the strongest').waitFor();
  await rosa.keyboard.press('Escape');
  await rosa.getByRole('button', { name: 'A call server says', pressed: true }).click();
  await wallSays(hedy, 'Rosa Parks', /In a meeting/);
  await rosa.getByRole('button', { name: 'An agent works' }).click();
  await wallSays(hedy, 'Reading Agent', /active now/);
  await rosa.getByRole('button', { name: 'An agent works', pressed: true }).click();
  await wallSays(hedy, 'Reading Agent', /just left/);
});

test('messages go from tab to tab', async () => {
  const emmy = await signIn('Emmy Noether');
  const lise = await signIn('Lise Meitner');
  await lise.getByLabel('Message', { exact: true }).fill('Good morning');
  await lise.keyboard.press('Enter');
  await emmy.getByText('Good morning').waitFor();
});

test('whoever types or records in the lobby is seen doing so in other tabs, until they stop', async () => {
  const emmy = await signIn('Emmy Noether');
  const lise = await signIn('Lise Meitner');
  await lise.getByLabel('Message', { exact: true }).pressSequentially('Good');
  await emmy.getByText('Lise Meitner is typing').waitFor();
  await lise.keyboard.press('Enter');
  await emmy.getByText('Lise Meitner is typing').waitFor({ state: 'detached' });
  await lise.getByLabel('Hold to look as if you recorded a message').focus();
  await lise.keyboard.down('Space');
  await emmy.getByText('Lise Meitner is recording').waitFor();
  await lise.keyboard.up('Space');
  await emmy.getByText('Lise Meitner is recording').waitFor({ state: 'detached' });
});

test('logging out leads back to the sign-in', async () => {
  const page = await signIn('Rosalind Franklin');
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByLabel('Your name').waitFor();
});

test('the token route signs anybody in, for an hour, and refuses what is no id', async () => {
  const ask = (body: unknown) => rest(web.url, 'POST', '/demo/token', { body });
  const { token } = (await ask({ userId: 'ada.lovelace' })).body;
  expect(decodeJwt(token)).toMatchObject({ sub: 'ada.lovelace', name: 'Ada Lovelace' });
  expect((decodeJwt(token).exp ?? 0) - (decodeJwt(token).iat ?? 0)).toBe(3600);
  for (const body of [{ userId: 'no spaces' }, { userId: '' }, { userId: 7 }, {}, [], undefined]) {
    expect(await ask(body)).toMatchObject({ status: 400, body: { code: 'INVALID_USER_ID' } });
  }
});

test('the page allows no scripts but its own, and nobody to frame it', async () => {
  const { headers } = await fetch(web.url);
  const policy = headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'self'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toMatch(/script-src|unsafe-eval/);
});

test('the page fits a phone, in the dark and in the light, and axe has nothing against it', async () => {
  await signIn('Barbara Liskov');
  const page = await signIn('Margaret Hamilton');
  await wallSays(page, 'Barbara Liskov', /active now/);
  for (const [name, width, height] of [
    ['desk', 1440, 1000],
    ['phone', 390, 844],
    ['small-phone', 330, 640],
  ] as const) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      const overflow = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      expect(overflow, `${name} ${colorScheme}`).toBeLessThanOrEqual(0);
      if (name === 'phone') expect(await complaintsOf(page), colorScheme).toEqual([]);
      await page.screenshot({ path: `${PICTURES}/${name}-${colorScheme}.png` });
    }
  }
});
