import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import webPush from 'web-push';
import { rest, tokenFor } from '../support/client.ts';
import { addDemoWeb } from '../support/demo-web.ts';
import { CALM, Deployment, eventually, type WebProgram } from '../support/deployment.ts';
import { Chromium } from './chromium.ts';

let deployment: Deployment;
let web: WebProgram;
let browser: Chromium;
const contexts: BrowserContext[] = [];

beforeAll(async () => {
  const { publicKey, privateKey } = webPush.generateVAPIDKeys();
  const push = { VAPID_PUBLIC_KEY: publicKey, VAPID_PRIVATE_KEY: privateKey, VAPID_SUBJECT: 'mailto:ops@example.com' };
  const alerts = { ALERT_MIN_ABSENCE_SECONDS: '0', ALERT_STABLE_SECONDS: '0.2', ALERT_COOLDOWN_SECONDS: '0' };
  deployment = await Deployment.start('browser-social', { webs: 0, env: { ...CALM, ...push, ...alerts } });
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

/** In a browser of their own, so that nobody's page is hidden behind another's. */
async function signIn(name: string, prepare?: (context: BrowserContext) => Promise<unknown>): Promise<Page> {
  const context = await browser.context.browser()?.newContext();
  if (!context) throw new Error('The browser has gone.');
  contexts.push(context);
  await prepare?.(context);
  const page = await context.newPage();
  page.on('pageerror', (error) => browser.complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') browser.complaints.push(`${message.location().url}: ${message.text()}`);
  });
  await page.goto(`${web.url}/`);
  await page.getByLabel('Your name').fill(name);
  await page.keyboard.press('Enter');
  await page.getByRole('status').getByText('live').waitFor();
  return page;
}

const card = (page: Page, name: string) => page.locator('.person', { hasText: name });

async function wallSays(page: Page, name: string, words: RegExp): Promise<void> {
  await eventually(
    async () => ((await card(page, name).count()) > 0 ? ((await card(page, name).textContent()) ?? '') : ''),
    (text) => words.test(text),
    15_000,
  );
}

/** Opens what is between the page's person and another, does it, and closes that again. */
async function inPanelOf(page: Page, name: string, act: (panel: ReturnType<Page['getByRole']>) => Promise<void>) {
  await page.getByRole('button', { name, exact: true }).click();
  const panel = page.getByRole('dialog', { name });
  await act(panel);
  await page.keyboard.press('Escape');
  await panel.waitFor({ state: 'detached' });
}

async function befriend(page: Page, name: string): Promise<void> {
  await inPanelOf(page, name, async (panel) => {
    await panel.getByRole('button', { name: 'Befriend' }).click();
    await panel.getByText('You are friends').waitFor();
  });
}

test('whoever shows themselves to friends is active for a friend and away for others, until the friendship ends', async () => {
  const ada = await signIn('Ada Lovelace');
  const grace = await signIn('Grace Hopper');
  const eve = await signIn('Eve Moneypenny');
  await wallSays(grace, 'Ada Lovelace', /active now/);
  await wallSays(eve, 'Ada Lovelace', /active now/);
  await befriend(ada, 'Grace Hopper');
  await card(ada, 'Grace Hopper').getByLabel('Friend').waitFor();

  await ada.getByText('Privacy').click();
  const status = ada.getByRole('group', { name: 'Who sees my status' });
  await status.getByRole('button', { name: 'Friends' }).click();
  await ada.getByText('Your friends see you active').waitFor();
  await wallSays(eve, 'Ada Lovelace', /away(Friend)?$/);
  await wallSays(grace, 'Ada Lovelace', /active now/);

  await inPanelOf(grace, 'Ada Lovelace', async (panel) => {
    await panel.getByRole('button', { name: 'Unfriend' }).click();
    await panel.getByText('You are not friends').waitFor();
  });
  await wallSays(grace, 'Ada Lovelace', /away(Friend)?$/);
  await status.getByRole('button', { name: 'Everyone' }).click();
  await wallSays(grace, 'Ada Lovelace', /active now/);
  await wallSays(eve, 'Ada Lovelace', /active now/);
});

test('a block hides both from each other, typing included, outlives a reload and can be ended', async () => {
  const emmy = await signIn('Emmy Noether');
  const lise = await signIn('Lise Meitner');
  const max = await signIn('Max Born');
  const type = (page: Page) => page.getByLabel('Message', { exact: true }).pressSequentially('Good');
  const sees = (page: Page, name: string) => page.getByText(`${name} is typing`);
  await type(lise);
  await sees(emmy, 'Lise Meitner').waitFor();

  await inPanelOf(emmy, 'Lise Meitner', async (panel) => {
    await panel.getByRole('button', { name: 'Block' }).click();
    await panel.getByRole('button', { name: 'Unblock' }).waitFor();
  });
  await wallSays(emmy, 'Lise Meitner', /blocked by you/);
  await wallSays(lise, 'Emmy Noether', /away(Friend)?$/);
  await wallSays(max, 'Emmy Noether', /active now/);
  await sees(emmy, 'Lise Meitner').waitFor({ state: 'detached' });

  // Max sees both, so by the time the others see him, they would have seen each other.
  await max.locator('.indicators').getByText('typing').waitFor({ state: 'detached' });
  await Promise.all([type(lise), type(emmy)]);
  await max.getByText(/^(Emmy Noether and Lise Meitner|Lise Meitner and Emmy Noether) are typing$/).waitFor();
  await type(max);
  await sees(emmy, 'Max Born').waitFor();
  await sees(lise, 'Max Born').waitFor();

  await emmy.reload();
  await wallSays(emmy, 'Lise Meitner', /blocked by you/);
  await inPanelOf(emmy, 'Lise Meitner', async (panel) => {
    await panel.getByRole('button', { name: 'Unblock' }).click();
    await panel.getByRole('button', { name: 'Block', exact: true }).waitFor();
  });
  await wallSays(emmy, 'Lise Meitner', /active now/);
  await wallSays(lise, 'Emmy Noether', /active now/);
});

test('"Why?" tells the rule, the device and when it changes next, counting down', async () => {
  const page = await signIn('Hedy Lamarr');
  const opener = page.getByRole('button', { name: 'Why?' });
  await opener.click();
  const why = page.getByRole('region', { name: 'Why you are active' });
  await why.getByText('heartbeat').waitFor();
  await why.getByText('This tab').waitFor();
  const secondsLeft = async () => Number(/Inactive in (\d+) s/.exec((await why.textContent()) ?? '')?.[1]);
  const first = await eventually(secondsLeft, (seconds) => seconds > 0 && seconds <= 60);
  await eventually(secondsLeft, (seconds) => seconds < first);
  await page.keyboard.press('Escape');
  await why.waitFor({ state: 'detached' });

  await page.getByLabel('For how long').selectOption('for a minute');
  await page.getByRole('button', { name: 'Appear inactive' }).click();
  await page.getByText('Others see you inactive').waitFor();
  await opener.click();
  const hidden = page.getByRole('region', { name: 'Why you are inactive' });
  await hidden.getByText(/You are shown again in \d+ s/).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Appear inactive', pressed: true }).click();
  await page.getByText('Others see you active').waitFor();
});

test('who asked to be told once that a friend comes is told, on the page and in the log, and not asked for again', async () => {
  const rosa = await signIn('Rosa Parks');
  const ida = await signIn('Ida Rhodes');
  await befriend(rosa, 'Ida Rhodes');
  await inPanelOf(rosa, 'Ida Rhodes', async (panel) => {
    await panel.getByRole('button', { name: 'Once' }).click();
    await panel.getByRole('button', { name: 'Once', pressed: true }).waitFor();
  });
  await card(rosa, 'Ida Rhodes').getByLabel('You are told when they come').waitFor();
  await ida.close();
  await wallSays(rosa, 'Ida Rhodes', /just left/);
  await signIn('Ida Rhodes');
  const alerts = rosa.getByRole('region', { name: 'Alerts' });
  await alerts.getByText('Ida Rhodes is here').waitFor();
  await rosa
    .getByRole('log', { name: /Changes/ })
    .getByText('is here (alert)')
    .waitFor();
  await alerts.getByRole('button', { name: 'Dismiss' }).click();
  await alerts.getByText('Ida Rhodes is here').waitFor({ state: 'detached' });
  await card(rosa, 'Ida Rhodes').getByLabel('You are told when they come').waitFor({ state: 'detached' });
});

test('where the browser can’t be notified the page says so, and offers nothing where it has no Web Push', async () => {
  // In the browser's own window: in the others, which keep nothing, there is never any Web Push.
  await browser.context.grantPermissions(['notifications'], { origin: web.url });
  const page = await browser.open(`${web.url}/`);
  await page.getByLabel('Your name').fill('Mae Jemison');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Notify me' }).click();
  const sentence = /push service can’t be reached|does not let the page notify you/;
  await page.getByRole('alert').getByText(sentence).waitFor();
  await page.close();

  const other = await signIn('Sally Ride', (context) =>
    context.addInitScript(() => void Reflect.deleteProperty(window, 'PushManager')),
  );
  await other.getByRole('button', { name: 'Log out' }).waitFor();
  expect(await other.getByRole('button', { name: 'Notify me' }).count()).toBe(0);
});

test('the demo makes friends of two people, and refuses what are no ids or one and the same', async () => {
  const ask = (body: unknown) => rest(web.url, 'POST', '/demo/friends', { body });
  expect(await ask({ userId: 'ann', friendId: 'bob' })).toMatchObject({ status: 204 });
  const { body } = await rest(web.url, 'GET', '/users/ann/friends', { token: await tokenFor('ann') });
  expect(body.friends).toMatchObject([{ userId: 'bob', alert: 'never' }]);
  for (const wrong of [{ userId: 'ann' }, { userId: 'no spaces', friendId: 'bob' }, [], undefined]) {
    expect(await ask(wrong)).toMatchObject({ status: 400, body: { code: 'INVALID_USER_ID' } });
  }
  expect(await ask({ userId: 'ann', friendId: 'ann' })).toMatchObject({ status: 400 });
});
