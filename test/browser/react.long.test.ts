import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';
import { Chromium } from './chromium.ts';
import type {} from './pages/strict.tsx';
import { Site } from './site.ts';

let deployment: Deployment;
let site: Site;
let browser: Chromium;

beforeAll(async () => {
  [deployment, site, browser] = await Promise.all([
    Deployment.start('browser-react', {
      env: { ...CALM, MAX_WATCHED_USERS: '5', CORS_ORIGINS: '*', ROOMS_OPEN: 'open:' },
    }),
    Site.build([fileURLToPath(new URL('./pages/strict.tsx', import.meta.url))]),
    Chromium.start(),
  ]);
});
afterEach(async () => {
  for (const page of browser.context.pages().slice(1)) await page.close();
});
afterAll(async () => {
  await Promise.all([browser?.close(), site?.close()]);
  await deployment?.stop();
});

/** Opens the page and counts the WebSockets it makes. */
async function open(
  user: string,
  more: Record<string, string> = {},
): Promise<{ page: Page; sockets: { made: number; open: number; sent: string[] } }> {
  const page = await browser.context.newPage();
  const sockets = { made: 0, open: 0, sent: [] as string[] };
  page.on('websocket', (socket) => {
    sockets.made += 1;
    sockets.open += 1;
    socket.on('close', () => {
      sockets.open -= 1;
    });
    socket.on('framesent', ({ payload }) => sockets.sent.push(String(payload)));
  });
  await page.goto(site.page('strict', { server: deployment.url, user, ...more }));
  await text(page, '#connection', 'connected');
  return { page, sockets };
}

async function text(page: Page, selector: string, expected: string): Promise<void> {
  await eventually(
    () => page.locator(selector).first().textContent(),
    (found) => found?.trim() === expected,
    15_000,
  );
}

async function sessionCount(user: string): Promise<number> {
  const answer = await rest(deployment.url, 'GET', `/users/${user}/sessions`, { token: await tokenFor(user) });
  return answer.body.sessions.length;
}

const renders = (page: Page) => page.evaluate(() => ({ ...window.renders }));

test('mounted twice by StrictMode, the page has one connection and one session', async () => {
  const { page, sockets } = await open('strict');
  await text(page, '#me', 'active');
  expect(sockets).toMatchObject({ made: 1, open: 1 });
  expect(await sessionCount('strict')).toBe(1);
});

test('unmounting says goodbye, and mounting again comes back', async () => {
  const { page, sockets } = await open('toggler');
  const observer = await TestClient.connect(deployment.url, 'observer-1', { watch: ['toggler'] });
  await page.click('#toggle');
  await observer.hears('toggler', ({ status }) => status === 'inactive');
  await eventually(
    () => sockets.open,
    (open) => open === 0,
  );
  await page.click('#toggle');
  await observer.hears('toggler', ({ status }) => status === 'active');
  await text(page, '#me', 'active');
  expect(sockets).toMatchObject({ made: 2, open: 1 });
  observer.leave();
});

test('twenty components of three users make one watch, and one change renders only those of that user', async () => {
  const { page, sockets } = await open('watcher');
  await text(page, '#everybody', 'inactive inactive inactive');
  await text(page, '#me', 'active');
  const watches = sockets.sent.filter((frame) => frame.includes('"watch"'));
  expect(watches.length).toBeLessThanOrEqual(2);
  const before = await renders(page);
  const friend = await TestClient.connect(deployment.url, 'friend-b');
  await text(page, '#friend-b', 'active');
  await text(page, '#everybody', 'inactive active inactive');
  const after = await renders(page);
  // StrictMode renders every component twice.
  const more = (name: string) => (after[name] ?? 0) - (before[name] ?? 0);
  expect(more('friend-a') + more('friend-c')).toBe(0);
  expect(more('everybody')).toBe(2);
  expect(more('friend-b')).toBe(7 * 2);
  friend.leave();
  await text(page, '#friend-b', 'inactive');
});

test('a heartbeat and a reconnect that change nothing render nothing', async () => {
  const { page } = await open('quiet');
  await text(page, '#everybody', 'inactive inactive inactive');
  await text(page, '#me', 'active');
  const before = await renders(page);
  await page.evaluate(
    () =>
      new Promise<void>((resolve) => {
        const { connection } = window.strictClient;
        window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }));
        window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
        const end = connection.subscribe(() => {
          if (connection.get().status !== 'connected') return;
          end();
          resolve();
        });
      }),
  );
  await text(page, '#connection', 'connected');
  const after = await renders(page);
  expect(after).toEqual(before);
});

test('a thousand watches that came and went leave room for all that the server allows', async () => {
  const { page } = await open('surfer');
  const errors = await page.evaluate(async () => {
    const { strictClient: client } = window;
    const codes: string[] = [];
    client.onError((error) => codes.push(error.code));
    const known = (userId: string) =>
      new Promise<void>((resolve) => {
        const end = client.watch([userId], () => {
          end();
          resolve();
        });
      });
    // Often enough to be slowed down by the server, once at a letting go and once at a watch: the detail makes it so.
    for (let n = 0; n < 1000; n += 1) {
      if (n === 750) await client.setDetail({ text: 'surfing' });
      await known(`passer-by-${n}`);
    }
    return codes.filter((code) => code === 'TOO_MANY_WATCHED');
  });
  // Of five, the page itself needs four: every single one of the thousand had to be let go for the next.
  expect(errors).toEqual([]);
});

test('a button that sets the status works through the hook, and the page sees it', async () => {
  const { page } = await open('shy');
  await text(page, '#me', 'active');
  await page.click('#hide');
  await text(page, '#me', 'inactive');
});

test('a room is come to once by StrictMode, in the handshake; what one says there follows the render, and unmounting leaves it', async () => {
  const other = await TestClient.connect(deployment.url, 'other', { watch: [] });
  await other.socket.emitWithAck('join_room', { roomId: 'open:1', data: { line: 5 } });
  const { page, sockets } = await open('reader', { room: 'open:1' });
  await text(page, '#here', 'other 5, reader 1');
  await text(page, '#here-me', 'reader');
  await text(page, '#counted', '2');
  // The handshake has named it, and being there is being told.
  const said = () => sockets.sent.filter((frame) => /"(join|leave|update|watch|unwatch)_room"/.test(frame));
  expect(said()).toEqual([]);
  await page.click('#next-line');
  await text(page, '#here', 'other 5, reader 2');
  // A count renders anew when it changes, and then only.
  const before = await renders(page);
  await other.socket.emitWithAck('update_room', { roomId: 'open:1', data: { line: 6 } });
  await text(page, '#here', 'other 6, reader 2');
  const after = await renders(page);
  expect((after.counted ?? 0) - (before.counted ?? 0)).toBe(0);
  await page.click('#toggle-room');
  await text(page, '#counted', '1');
  await page.click('#toggle-room');
  await text(page, '#here', 'other 6, reader 1');
  other.leave();
});

test('by which devices somebody is here follows their presence, and is nothing of who appears inactive or may not be seen', async () => {
  const { page } = await open('neighbour', { about: 'mover' });
  await text(page, '#devices', 'none');
  const phone = await TestClient.connect(deployment.url, 'mover', { device: { kind: 'mobile' }, watch: [] });
  await text(page, '#devices', 'mobile active');
  await phone.beat('idle');
  await text(page, '#devices', 'mobile idle');
  await phone.socket.emitWithAck('set_status', { status: 'inactive' });
  await text(page, '#devices', 'none');
  await phone.socket.emitWithAck('set_status', { status: 'active' });
  await text(page, '#devices', 'mobile idle');
  await page.click('#block');
  await text(page, '#blocks', 'mover');
  await text(page, '#devices', 'none');
  await page.click('#block');
  await text(page, '#blocks', 'none');
  await text(page, '#devices', 'mobile idle');
  phone.leave();
  await text(page, '#devices', 'none');
});

test('who says what of the signed-in user and what they show to whom follow what is said and changed, here and elsewhere', async () => {
  const { page } = await open('told', { about: 'told' });
  await text(page, '#sources', 'none');
  await text(page, '#last-seen-for', 'everyone');
  const host = await tokenFor('host', { scope: 'presence:write' });
  const calendar = '/users/told/detail/calendar';
  await rest(deployment.url, 'PUT', calendar, { token: host, body: { text: 'Meeting' } });
  await text(page, '#sources', 'calendar Meeting');
  await page.click('#say');
  await text(page, '#sources', 'manual Lunch, calendar Meeting');
  await rest(deployment.url, 'DELETE', '/users/told/detail/manual', { token: host });
  await text(page, '#sources', 'calendar Meeting');
  await page.click('#last-seen-for-nobody');
  await text(page, '#last-seen-for', 'nobody');
  const kept = await rest(deployment.url, 'GET', '/users/told/settings', { token: host });
  expect(kept.body).toMatchObject({ lastSeenVisibility: 'nobody' });
});
