import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import webPush from 'web-push';
import { befriend } from '../support/alerts-world.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually, type WebProgram } from '../support/deployment.ts';
import { LOCK } from '../support/metrics.ts';
import { type Browser, PushService } from '../support/push-service.ts';
import { Chromium } from './chromium.ts';

const PICTURES = '.data/screenshots';

let rollcall: Deployment;
let writable: WebProgram;
let pushes: PushService;
let browser: Chromium;
/** A browser whose push service refuses the first message. */
let listening: Browser;
const here: TestClient[] = [];

beforeAll(async () => {
  const { publicKey, privateKey } = webPush.generateVAPIDKeys();
  pushes = await PushService.start();
  rollcall = await Deployment.start('board', {
    env: {
      ...CALM,
      ...LOCK,
      VAPID_PUBLIC_KEY: publicKey,
      VAPID_PRIVATE_KEY: privateKey,
      VAPID_SUBJECT: 'mailto:ops@example.com',
      PUSH_ALLOW_PRIVATE: 'true',
      ALERT_STABLE_SECONDS: '0.1',
    },
  });
  writable = await rollcall.addWeb({ BOARD_WRITABLE: 'true' });
  browser = await Chromium.start();
  await browser.context.setHTTPCredentials({ username: LOCK.ADMIN_USER, password: LOCK.ADMIN_PASSWORD });
  listening = pushes.browser();
  listening.reactions = [{ status: 400 }];
  await befriend(rollcall.db, 'grace', 'ada', 'always');
  const token = await tokenFor('grace');
  await rest(rollcall.url, 'PUT', '/users/grace/push-subscriptions', { token, body: listening.subscription });
  for (const userId of ['ada', 'alan', 'linus']) here.push(await TestClient.connect(rollcall.url, userId));
  await eventually(
    () => listening.calls,
    (calls) => calls === 1,
    20_000,
  );
});
afterEach(async () => {
  for (const page of browser.context.pages().slice(1)) await page.close();
});
afterAll(async () => {
  for (const client of here) client.leave();
  await browser?.close();
  await rollcall?.stop();
  await pushes?.close();
});

const openBoard = (web: WebProgram, path = ''): Promise<Page> => browser.open(`${web.url}/admin/queues${path}`);

test('an operator who signs in sees all queues with what they are for, and the way to API and metrics', async () => {
  const page = await openBoard(rollcall.web(0));
  for (const name of ['timeouts', 'broadcasts', 'last-seen', 'notifications', 'pushes', 'webhooks', 'maintenance']) {
    await page
      .getByRole('link', { name: new RegExp(name) })
      .first()
      .waitFor();
  }
  await page.locator('header').getByRole('button').last().click();
  for (const [text, path] of Object.entries({
    People: '/admin',
    'REST API': '/docs',
    'Socket.IO API': '/docs/events',
    Metrics: '/metrics',
  })) {
    expect(await page.getByRole('menuitem', { name: text }).getAttribute('href')).toBe(path);
  }
  for (const path of ['/docs', '/docs/events', '/metrics']) {
    const status = await page.evaluate(async (url) => (await fetch(url)).status, path);
    expect([path, status]).toEqual([path, 200]);
  }
  expect(browser.complaints.splice(0)).toEqual([]);
});

test('a queue says what it is for, and a timeout whose it is and when it is due', async () => {
  const page = await openBoard(rollcall.web(0), '/queue/timeouts?status=delayed');
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.getByText('One delayed check per active user').first().waitFor();
  await page.getByText('"alan"').first().waitFor();
  await mkdir(PICTURES, { recursive: true });
  await page.screenshot({ path: `${PICTURES}/board.png` });
  const text = (await page.locator('#root').textContent()) ?? '';
  for (const userId of ['ada', 'alan', 'linus']) expect(text).toContain(`userId:"${userId}"`);
  expect(text).toMatch(/due:\s*"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/);
  expect(browser.complaints.splice(0)).toEqual([]);
});

test('a push that failed can be tried again on a board that may write, and on no other', async () => {
  const reading = await openBoard(rollcall.web(0), '/queue/pushes?status=failed');
  await reading
    .getByText(/^push-/)
    .first()
    .waitFor();
  expect(await reading.getByText('Retry all').count()).toBe(0);
  expect(
    await reading
      .getByText(/^push-/)
      .locator('xpath=following::button[1]')
      .textContent(),
  ).toBe('Error');
  await reading.close();

  const page = await openBoard(writable, '/queue/pushes?status=failed');
  await page
    .getByText(/^push-/)
    .first()
    .waitFor();
  expect(listening.received).toHaveLength(0);
  // The first of the buttons that belong to the job, which have no names but tooltips.
  const retry = page.getByText(/^push-/).locator('xpath=following::button[1]');
  await retry.hover();
  await page.getByText('Retry', { exact: true }).waitFor();
  await retry.click();
  await page.getByRole('button', { name: /confirm/i }).click();
  await eventually(
    () => listening.messages,
    (messages) => messages.length === 1,
    15_000,
  );
  expect(listening.messages).toMatchObject([{ type: 'friend_active', userId: 'ada' }]);
  expect(browser.complaints.splice(0)).toEqual([]);
});

test('a page of another origin changes nothing, although the browser knows the password', async () => {
  // The same machine at another port: the browser sends the password, and says where the request comes from.
  const other = createServer((_request, response) => response.setHeader('content-type', 'text/html').end('<p>Hi</p>'));
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const page = await browser.open(`http://127.0.0.1:${port}/`);
  const target = `${writable.url}/admin/queues/api/queues/timeouts/add`;
  const answered = page.waitForResponse((response) => response.url() === target);
  await page.evaluate((url) => {
    const form = document.createElement('form');
    Object.assign(form, { method: 'POST', action: url });
    document.body.append(form);
    form.submit();
  }, target);
  expect((await answered).status()).toBe(403);
  browser.complaints.splice(0);
  other.closeAllConnections();
  other.close();
});
