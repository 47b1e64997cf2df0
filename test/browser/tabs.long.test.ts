import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Cable, layCable } from '../support/cable.ts';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { BRISK, Deployment, eventually } from '../support/deployment.ts';
import { Chromium } from './chromium.ts';
import type {} from './pages/plain.ts';
import { Site } from './site.ts';

/** Longer than any pause of a busy machine: who is said to stay active must not be missed for the machine's sake. */
const ENV = { ...BRISK, PRESENCE_TTL_SECONDS: '5', CORS_ORIGINS: '*' };
const TTL_MS = Number(ENV.PRESENCE_TTL_SECONDS) * 1000;
/** Well before the TTL would be over, which began with a heartbeat of the last second. */
const AT_ONCE_MS = TTL_MS - 1500;
const CONTRACT_MS = TTL_MS + 2000;

let deployment: Deployment;
let cable: Cable;
let site: Site;
let browser: Chromium;
let observer: TestClient;

beforeAll(async () => {
  [deployment, site, browser] = await Promise.all([
    Deployment.start('browser-tabs', { env: ENV }),
    Site.build([fileURLToPath(new URL('./pages/plain.ts', import.meta.url))]),
    Chromium.start(),
  ]);
  cable = await layCable(deployment.url);
  observer = await TestClient.connect(deployment.url, 'observer');
});
afterEach(async () => {
  for (const page of browser.context.pages().slice(1)) await page.close();
});
afterAll(async () => {
  observer?.leave();
  await Promise.all([browser?.close(), site?.close(), cable?.close()]);
  await deployment?.stop();
});

async function open(user: string, server = deployment.url): Promise<Page> {
  await observer.watch(user);
  const page = await browser.open(site.page('plain', { server, user }));
  await observer.hears(user, isActive);
  return page;
}

/** The sessions of a user, as the server has them. */
async function sessions(user: string): Promise<{ lastHeartbeat: string; state: string }[]> {
  const answer = await rest(deployment.url, 'GET', `/users/${user}/sessions`, { token: await tokenFor(user) });
  return answer.body.sessions;
}

test('closing a tab is a goodbye: the others know at once', async () => {
  const page = await open('closer');
  await page.close();
  const gone = await observer.hears('closer', isInactive, { withinMs: AT_ONCE_MS });
  expect(Date.now() - Date.parse(gone.lastSeen ?? '')).toBeLessThan(AT_ONCE_MS);
});

test('a tab that is hidden for much longer than the TTL, its timers held back, stays active, and is not idle for that', async () => {
  const page = await open('hidden');
  const other = await browser.context.newPage();
  await other.bringToFront();
  await eventually(
    () => page.evaluate(() => document.visibilityState),
    (visibility) => visibility === 'hidden',
  );
  const hiddenAt = Date.now();
  const ticksAtFirst = await page.evaluate(() => window.ticks);
  await eventually(
    () => sessions('hidden'),
    ([session]) => Date.parse(session?.lastHeartbeat ?? '') - hiddenAt > TTL_MS * 4,
    TTL_MS * 8,
  );
  expect(await page.evaluate(() => document.visibilityState)).toBe('hidden');
  // In four TTLs a timer of 200 ms would fire a hundred times. It was throttled, or this test shows nothing.
  expect((await page.evaluate(() => window.ticks)) - ticksAtFirst).toBeLessThan(25);
  expect(observer.statuses('hidden')).toEqual(['active']);
  expect((await sessions('hidden'))[0]?.state).toBe('active');
});

test('where the user has allowed it, idle is who uses no program of the device, and not who is only elsewhere', async () => {
  const { origin } = new URL(site.page('plain'));
  const whole = await browser.context.browser()?.newBrowserCDPSession();
  await whole?.send('Browser.grantPermissions', { permissions: ['idleDetection'], origin });
  const page = await open('elsewhere');
  const device = await browser.context.newCDPSession(page);
  const isUsed = (isUserActive: boolean) =>
    device.send('Emulation.setIdleOverride', { isUserActive, isScreenUnlocked: true });
  const becomes = (state: string) =>
    eventually(
      () => sessions('elsewhere'),
      ([session]) => session?.state === state,
    );
  await isUsed(false);
  await becomes('idle');
  await isUsed(true);
  await becomes('active');
  await device.detach();
  await whole?.send('Browser.resetPermissions');
  await whole?.detach();
});

test('a frozen page goes inactive in time, and comes back by itself when it is resumed', async () => {
  const page = await open('frozen');
  const other = await browser.context.newPage();
  await other.bringToFront();
  await browser.freeze(page, true);
  const gone = await observer.hears('frozen', isInactive, { withinMs: CONTRACT_MS + 1000 });
  expect(Date.now() - Date.parse(gone.lastSeen ?? '')).toBeGreaterThan(TTL_MS - 500);
  await browser.freeze(page, false);
  await page.bringToFront();
  await observer.hears('frozen', isActive, { after: 2 });
});

test('of two tabs of one user, closing one changes nothing for others', async () => {
  const first = await open('two-tabs');
  const second = await browser.open(site.page('plain', { server: deployment.url, user: 'two-tabs' }));
  await eventually(
    () => sessions('two-tabs'),
    (list) => list.length === 2,
  );
  await first.close();
  await eventually(
    () => sessions('two-tabs'),
    (list) => list.length === 1,
  );
  expect(observer.statuses('two-tabs')).toEqual(['active']);
  await second.close();
  await observer.hears('two-tabs', isInactive);
});

test('the network goes and comes back: inactive in time, active again without a reload', async () => {
  const page = await open('traveller', cable.url('traveller'));
  cable.cut('traveller');
  const gone = await observer.hears('traveller', isInactive, { withinMs: CONTRACT_MS + 1000 });
  expect(Date.now() - Date.parse(gone.lastSeen ?? '')).toBeGreaterThan(TTL_MS - 500);
  cable.mend('traveller');
  await observer.hears('traveller', isActive, { after: 2 });
  // Others may hear of it before the page does.
  await page.waitForFunction(() => window.client.connection.get().status === 'connected');
});

test('switched to offline and back to online, the page is connected again', async () => {
  const page = await open('offline');
  const session = await browser.context.newCDPSession(page);
  const conditions = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
  await session.send('Network.enable');
  await session.send('Network.emulateNetworkConditions', { ...conditions, offline: true });
  await page.waitForFunction(() => window.states.includes('reconnecting'));
  await session.send('Network.emulateNetworkConditions', { ...conditions, offline: false });
  await page.waitForFunction(() => window.client.connection.get().status === 'connected');
});

test('left with the back button in mind: gone at once, and back out of the cache without a reload', async () => {
  const page = await open('back');
  await page.evaluate(() => {
    (window as { mark?: string }).mark = 'the same page';
  });
  await page.goto('about:blank');
  await observer.hears('back', isInactive, { withinMs: AT_ONCE_MS });
  await page.goBack({ waitUntil: 'commit' });
  await observer.hears('back', isActive, { after: 2 });
  expect(await page.evaluate(() => (window as { mark?: string }).mark)).toBe('the same page');
});

test.each(['/download', '/nothing'])('a link to %s leaves the page where it is, and its user active', async (path) => {
  const user = `clicker-${path.slice(1)}`;
  const page = await open(user);
  const answered = page.waitForEvent('response', (response) => new URL(response.url()).pathname === path);
  await page.evaluate((href) => {
    const link = document.createElement('a');
    link.href = href;
    document.body.append(link);
    link.click();
  }, path);
  await answered;
  const [{ lastHeartbeat = '' } = {}] = await sessions(user);
  await eventually(
    () => sessions(user),
    ([session]) => Date.parse(session?.lastHeartbeat ?? '') > Date.parse(lastHeartbeat),
  );
  expect(observer.statuses(user)).toEqual(['active']);
});

test('a page that is told it goes, and stays, is connected again by itself', async () => {
  const page = await open('stayer');
  await page.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pagehide')));
  await observer.hears('stayer', isInactive, { withinMs: AT_ONCE_MS });
  await observer.hears('stayer', isActive, { after: 2 });
  // Once more, after a client that was closed meanwhile: it stays away.
  await page.evaluate(() => {
    window.dispatchEvent(new PageTransitionEvent('pagehide'));
    window.client.close();
    window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
  });
  expect(await page.evaluate(() => window.client.connection.get())).toMatchObject({ status: 'closed' });
});
