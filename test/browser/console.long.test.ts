import { mkdir } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { BRISK, Deployment, eventually, type WebProgram } from '../support/deployment.ts';
import { LOCK } from '../support/metrics.ts';
import { complaintsOf } from './axe.ts';
import { Chromium } from './chromium.ts';

const PICTURES = '.data/screenshots';
const WIDE = { width: 1280, height: 860 };
const NARROW = { width: 320, height: 700 };

let rollcall: Deployment;
let second: WebProgram;
let reading: WebProgram;
let host: string;
let browser: Chromium;
let page: Page;
const here: TestClient[] = [];

beforeAll(async () => {
  // Who beats is not to lose their rooms for a pause of a busy machine.
  const times = { ...BRISK, PRESENCE_TTL_SECONDS: '5', HANDOVER_SECONDS: '1' };
  const env = { ...times, ...LOCK, ROOMS_OPEN: '*', BOARD_WRITABLE: 'true' };
  rollcall = await Deployment.start('console walk', { env });
  [second, reading] = [await rollcall.addWeb(), await rollcall.addWeb({ BOARD_WRITABLE: 'false' })];
  host = await tokenFor('backend', { scope: 'presence:write' });
  browser = await Chromium.start();
  await browser.context.setHTTPCredentials({ username: LOCK.ADMIN_USER, password: LOCK.ADMIN_PASSWORD });
  await mkdir(PICTURES, { recursive: true });
  page = await browser.open(`${rollcall.url}/admin`);
  await page.setViewportSize(WIDE);
});
afterAll(async () => {
  for (const client of here) client.leave();
  await browser?.close();
  await rollcall?.stop();
});

/** Somebody whose device beats, or falls silent once it stops. */
async function comes(userId: string, name: string, auth: object = {}, url = rollcall.url) {
  const token = await tokenFor(userId, { name });
  const client = await TestClient.connect(url, userId, { token, ...auth });
  here.push(client);
  const beats = setInterval(() => client.socket.emit('heartbeat', {}, () => {}), 1000).unref();
  client.socket.once('disconnect', () => clearInterval(beats));
  return { client, fallsSilent: () => clearInterval(beats) };
}

const panel = (name: string) => page.getByRole('region', { name, exact: true });
const home = () => page.getByRole('link', { name: 'Now' }).click();
const picture = (name: string) => page.screenshot({ path: `${PICTURES}/console-${name}.png` });

async function find(text: string, userId: string): Promise<void> {
  await page.keyboard.press('/');
  await page.keyboard.insertText(text);
  // Among the people found: the lists of what is wrong may name them too.
  await panel('People')
    .getByRole('link', { name: new RegExp(userId) })
    .first()
    .waitFor();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.getByText(userId, { exact: true }).last().waitFor();
}

test('the five questions of whoever runs it are answered, each within a look', async () => {
  const ada = await comes('ada', 'Ada Lovelace', {
    deviceId: 'laptop',
    device: { kind: 'desktop', name: 'Ada’s laptop' },
  });
  await comes('ada', 'Ada Lovelace', { deviceId: 'phone', device: { kind: 'mobile', name: 'Ada’s phone' } });
  const grace = await comes('grace', 'Grace Hopper', { deviceId: 'desk', device: { kind: 'desktop' } });
  for (const userId of ['alan', 'linus', 'barbara']) {
    const { client } = await comes(userId, userId);
    await client.socket.emitWithAck('join_room', { roomId: 'team:radio' });
  }
  for (const roomId of ['team:radio', 'doc:engine']) await ada.client.socket.emitWithAck('join_room', { roomId });
  const until = new Date(Date.now() + 3_600_000).toISOString();
  const says = { availability: 'busy', text: 'In a call', until };
  await rest(rollcall.url, 'PUT', '/users/ada/detail/call', { token: host, body: says });
  await rest(rollcall.url, 'PUT', '/users/ada/detail/calendar', { token: host, body: { text: 'Review at four' } });
  await panel('Processes')
    .getByRole('row', { name: /longer|well|newcomers/ })
    .nth(2)
    .waitFor();

  // Why is she inactive?
  grace.fallsSilent();
  await find('grace h', 'grace');
  await page.getByText('Inactive, for no heartbeat came for as long as a session may be silent.').waitFor();
  await panel('History').getByText('no heartbeat in time').waitFor();
  await picture('why');

  // Who is stuck? Nobody settles anything while the worker stands still.
  const linus = await comes('stuck-one', 'Linus');
  rollcall.worker(0).kill('SIGSTOP');
  linus.fallsSilent();
  await home();
  await panel('Active beyond their deadline').getByRole('link', { name: 'stuck-one' }).waitFor();
  await page.getByRole('heading', { name: 'RollcallNoWorker' }).waitFor();
  await picture('stuck');
  await panel('Active beyond their deadline').getByRole('link', { name: 'stuck-one' }).click();
  // Whoever is looked at is settled by that, whatever became of the worker.
  await page.getByText('Inactive, for no heartbeat came for as long as a session may be silent.').waitFor();
  await home();

  // Is anything late? It was, and the worker says by how much.
  rollcall.worker(0).kill('SIGCONT');
  await page.getByRole('heading', { name: 'RollcallTimeoutsLate' }).waitFor();
  await page.getByText(/0 users active beyond their deadline now, [1-9]\d* settled late in the last minutes/).waitFor();
  await picture('late');

  // Who is looking at everybody?
  const userIds = Array.from({ length: 800 }, (_, n) => `somebody-${n}`);
  await rest(rollcall.url, 'POST', '/users/status/query', { token: await tokenFor('mallory'), body: { userIds } });
  await panel('Who looks at most others today').getByRole('link', { name: 'mallory' }).waitFor();

  // Did the deploy flap anyone? One was told inactive by it, for their client did not come back.
  await comes('left-by-deploy', 'Margaret', {}, second.url);
  second.kill('SIGTERM');
  await second.exited;
  const flaps = panel('Told inactive and had not left').getByRole('listitem').filter({ hasText: 'left-by-deploy' });
  await flaps.getByText(/not back in time after a deploy/).waitFor({ timeout: 60_000 });
  await picture('now');
  await panel('The fullest rooms').getByText('team:radio').waitFor();
  expect(browser.complaints.splice(0)).toEqual([]);
});

test('a session, a source and a room end by the keyboard alone, each once it was asked twice', async () => {
  await find('ada', 'ada');
  await page.getByText('Ada’s phone').first().waitFor();
  await picture('person');
  await panel('Why')
    .getByText(/^Ada’s (phone|laptop), d[\w-]+$/)
    .waitFor();
  await panel('Why')
    .getByText(/, if nothing is heard until then$/)
    .waitFor();
  await panel('Privacy').getByText('Everybody may see whether they are here.').waitFor();
  expect(await panel('Friends and blocks').getByRole('definition').allTextContents()).toEqual(['0', '0']);
  // Asked for apart from the rest.
  await panel('The last four weeks').getByRole('listitem').first().waitFor();
  expect(await panel('The last four weeks').getByRole('listitem').count()).toBe(28);
  const signOut = page.getByRole('button', { name: 'Sign out: Ada’s phone' });
  await signOut.focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'Sign out?' }).waitFor();
  await picture('asks');
  // The first that is reached lets it be.
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-label'))).toBe('Sign out: Ada’s phone');
  for (const name of ['Sign out: Ada’s phone', 'Take out: doc:engine', 'End: calendar']) {
    await page.getByRole('button', { name }).focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name }).waitFor({ state: 'detached' });
  }
  const { body } = await rest(rollcall.url, 'GET', '/audit?subject=ada', { token: host });
  expect(body.entries.map(({ actor, act }: { actor: string; act: string }) => [actor, act])).toEqual(
    ['source_removed', 'kick', 'session_removed'].map((act) => [LOCK.ADMIN_USER, act]),
  );
  expect(browser.complaints.splice(0)).toEqual([]);
});

test('of who appears inactive it says so, and until when', async () => {
  await comes('shy', 'Shy One');
  const body = { userId: 'shy', status: 'inactive', expiresInSeconds: 3600 };
  await rest(rollcall.url, 'POST', '/users/status', { token: host, body });
  await find('shy', 'shy');
  await page.getByText('Inactive, for the user chose to appear inactive.').waitFor();
  await panel('Why')
    .getByText(/in \d+ (min|h), if the user does not choose before$/)
    .waitFor();
  await rest(rollcall.url, 'POST', '/users/status', { token: host, body: { userId: 'shy', status: 'inactive' } });
  await panel('Why').getByText('when the user chooses, or signs out').waitFor();
  await find('ada', 'ada');
});

test('the queues are a link away, and people from there', async () => {
  const shown = await browser.open(`${rollcall.url}/admin`);
  await shown.getByRole('link', { name: 'Queues' }).click();
  await shown.waitForURL(/\/admin\/queues/);
  await shown
    .getByRole('link', { name: /timeouts/ })
    .first()
    .waitFor();
  await shown.close();
  await page.bringToFront();
});

test('a last heartbeat is live', async () => {
  const beat = panel('Sessions').locator('.beat').first();
  const said = new Set<string>();
  await eventually(
    async () => said.add((await beat.textContent()) ?? '').size,
    (size) => size >= 2,
    15_000,
  );
});

test('a console that only shows has no button that ends anything, and says why', async () => {
  const shown = await browser.open(`${reading.url}/admin#person=ada`);
  await shown.getByText('only shown: BOARD_WRITABLE=true lets the console end something').waitFor();
  await shown.getByText('Ada’s laptop').first().waitFor();
  expect(await shown.getByRole('button', { name: /^(Sign out|Take out|End)/ }).count()).toBe(0);
  await shown.close();
  await page.bringToFront();
});

test('without PostgreSQL what Redis knows is shown, and why the rest is not', async () => {
  const apart = await rollcall.addWeb({ DATABASE_URL: 'postgres://127.0.0.1:1/nowhere' });
  const shown = await browser.open(`${apart.url}/admin#person=ada`);
  await shown.getByText('Ada’s laptop').first().waitFor();
  const privacy = shown.getByRole('region', { name: 'Privacy', exact: true });
  await privacy.getByText(/^PostgreSQL is not answering/).waitFor();
  await shown.getByRole('link', { name: 'Now' }).click();
  await shown.getByRole('heading', { name: 'RollcallPostgresAway' }).waitFor();
  await shown.close();
  await apart.end();
  await page.bringToFront();
});

test('it is within reach of everybody: axe finds nothing, light and dark, on a screen and on a phone, and nothing is cut off', async () => {
  const dialog = async () => {
    await page.getByRole('button', { name: /^End: call/ }).click();
    await page.getByRole('dialog').waitFor();
  };
  /** By its button, which cannot be reached while something is asked. */
  const show = async (theme: 'light' | 'dark') => {
    const other = page.getByRole('button', { name: theme === 'dark' ? 'Dark' : 'Light', exact: true });
    const isAsking = await page.getByRole('dialog').isVisible();
    if (isAsking) await page.evaluate((to) => document.documentElement.setAttribute('data-theme', to), theme);
    else if (await other.isVisible()) await other.click();
  };
  const views: [string, () => Promise<unknown>][] = [
    ['now', home],
    ['person', () => page.goto(`${rollcall.url}/admin#person=ada`)],
    ['dialog', dialog],
  ];
  for (const size of [WIDE, NARROW]) {
    await page.setViewportSize(size);
    for (const [name, open] of views) {
      await open();
      await page.getByRole('heading', { level: 1 }).waitFor({ state: 'attached' });
      await page.getByRole('region').nth(2).waitFor();
      for (const theme of ['light', 'dark'] as const) {
        await show(theme);
        expect([name, size.width, theme, await complaintsOf(page)]).toEqual([name, size.width, theme, []]);
        const tooWide = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        expect([name, size.width, tooWide]).toEqual([name, size.width, 0]);
        if (name !== 'dialog') await picture(`${name}-${size.width}-${theme}`);
      }
    }
    // By then it is dark, as the button says too.
    await page.keyboard.press('Escape');
    await show('light');
  }
  expect(browser.complaints.splice(0)).toEqual([]);
});
