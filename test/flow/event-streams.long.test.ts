import { afterAll, beforeAll, expect, test } from 'vitest';
import { Rollcall, type WatchedChange } from '../../src/backend/index.ts';
import { isActive, isInactive, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually, JWT_SECRET } from '../support/deployment.ts';
import { EventReader } from '../support/event-reader.ts';

const LONG_MS = 40_000;

let rollcall: Deployment;
/** Nothing ever happens to whom it watches. */
let quiet: EventReader;
beforeAll(async () => {
  rollcall = await Deployment.start('event streams of processes that go', { env: CALM });
  quiet = await EventReader.open(rollcall.url, await tokenFor('patient'), ['nobody']);
});
afterAll(() => rollcall?.stop());

test('a backend follows them in a loop, which goes on when a process goes away', async () => {
  const web = await rollcall.addWeb();
  const ended = new AbortController();
  const backend = new Rollcall({ url: web.url, key: JWT_SECRET });
  const news: string[] = [];
  const following = (async () => {
    for await (const one of backend.watchEvents(['eve'], { signal: ended.signal })) {
      for (const { userId, status } of one.snapshot ?? [one as WatchedChange]) news.push(`${userId} ${status}`);
    }
  })();
  await eventually(
    () => news,
    (all) => all.length === 1,
    LONG_MS,
  );
  const eve = await TestClient.connect(rollcall.url, 'eve');
  await eventually(
    () => news,
    (all) => all.includes('eve active'),
    LONG_MS,
  );
  await web.end();
  eve.leave();
  await rollcall.addWeb({ PORT: new URL(web.url).port });
  await eventually(
    () => news,
    (all) => all.at(-1) === 'eve inactive',
    LONG_MS,
  );
  ended.abort();
  await following;
  expect(news.filter((one, n) => one !== news[n - 1])).toEqual(['eve inactive', 'eve active', 'eve inactive']);
  const stranger = new Rollcall({ url: rollcall.url, token: 'garbled' });
  await expect(stranger.watchEvents(['eve']).next()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});

test('a process that goes away says so, and when to come again', async () => {
  const web = await rollcall.addWeb();
  const host = await EventReader.open(rollcall.url, await tokenFor('host', { scope: 'presence:read' }), ['ada']);
  (await TestClient.connect(rollcall.url, 'ada')).leave();
  await host.hears('user_status_change', isInactive);
  host.leave();
  const reader = await EventReader.open(web.url, await tokenFor('last'), ['ada']);
  const { id } = await reader.hears('snapshot');
  expect(id).toMatch(/^\d+-\d+-\d+-[0-9a-f]{12}$/);
  web.kill('SIGTERM');
  const { data } = await reader.hears('session_closed', () => true, LONG_MS);
  expect(data).toMatchObject({ reason: 'draining', reconnect: true, afterMs: reader.retry });
  await reader.ends();
  // Another process knows the place, too.
  const back = await EventReader.open(rollcall.url, await tokenFor('last'), ['ada'], id);
  const ada = await TestClient.connect(rollcall.url, 'ada');
  await back.hears('user_status_change', isActive);
  expect(back.events.filter(({ event }) => event === 'snapshot')).toEqual([]);
  ada.leave();
  back.leave();
});

test('where nothing happens a comment comes every fifteen seconds, with the place from which to go on', async () => {
  // Whole ones; by now there may be more than one, each with the place of its time.
  const comments = () =>
    quiet.text
      .split('\n\n')
      .slice(0, -1)
      .filter((block) => block.startsWith(':'));
  const comment = (await eventually(comments, (all) => all.length > 0, LONG_MS)).at(-1);
  expect(comment).toMatch(/^:\nid: \d+-\d+-\d+-[0-9a-f]{12}$/);
  expect(quiet.events.map(({ event }) => event)).toEqual(['snapshot']);
  expect(quiet.lastEventId).toBe(comment?.slice(':\nid: '.length));
  quiet.leave();
});
