import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Cable, layCable } from '../support/cable.ts';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { BRISK, Deployment, eventually } from '../support/deployment.ts';
import type { Desk, Tab } from './desk.ts';
import { OTHERS } from './others.ts';
import type {} from './pages/plain.ts';
import { Site } from './site.ts';

/** Longer than any pause of a busy machine: who is said to stay active must not be missed for the machine's sake. */
const ENV = { ...BRISK, PRESENCE_TTL_SECONDS: '5', CORS_ORIGINS: '*' };
const TTL_MS = Number(ENV.PRESENCE_TTL_SECONDS) * 1000;
/** Well before the TTL would be over, which began with a heartbeat of the last second. */
const AT_ONCE_MS = TTL_MS - 1500;
/** No more than the TTL. */
const GRACE_SECONDS = 5;

let deployment: Deployment;
/** Of a web of the same deployment that gives whoever goes a grace. */
let graced: string;
let cable: Cable;
let site: Site;
let observer: TestClient;

beforeAll(async () => {
  [deployment, site] = await Promise.all([
    Deployment.start('browsers', { env: ENV }),
    Site.build([fileURLToPath(new URL('./pages/plain.ts', import.meta.url))]),
  ]);
  graced = (await deployment.addWeb({ DISCONNECT_GRACE_SECONDS: `${GRACE_SECONDS}` })).url;
  cable = await layCable(deployment.url);
  observer = await TestClient.connect(deployment.url, 'observer');
});
afterAll(async () => {
  observer?.leave();
  await Promise.all([site?.close(), cable?.close()]);
  await deployment?.stop();
});

describe.each(OTHERS)('in %s', (name, start) => {
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

  const userOf = (part: string) => `${part}-${name.toLowerCase()}`;

  async function open(user: string, server = deployment.url): Promise<Tab> {
    await observer.watch(user);
    const tab = await browser.open(site.page('plain', { server, user }));
    tabs.add(tab);
    await observer.hears(user, isActive);
    return tab;
  }

  async function close(tab: Tab): Promise<void> {
    tabs.delete(tab);
    await tab.close();
  }

  /** The sessions of a user, as the server has them. */
  async function sessions(user: string): Promise<{ lastHeartbeat: string; state: string }[]> {
    const answer = await rest(deployment.url, 'GET', `/users/${user}/sessions`, { token: await tokenFor(user) });
    return answer.body.sessions;
  }

  /** Resolves once the user has a single session, and that was heard of so long after a point in time. */
  const beatsOn = (user: string, from: number, forMs: number) =>
    eventually(
      () => sessions(user),
      (list) => list.length === 1 && Date.parse(list[0]?.lastHeartbeat ?? '') - from > forMs,
      forMs * 3 + 5000,
    );

  const isConnected = (tab: Tab) =>
    eventually(
      () => tab.evaluate(() => window.client.connection.get().status),
      (status) => status === 'connected',
    );

  test('two people see each other, and one closing the page is a goodbye that the other sees at once', async () => {
    const [ada, bob] = [userOf('ada'), userOf('bob')];
    const adas = await open(ada);
    const bobs = await open(bob);
    const sees = async (tab: Tab, other: string) => {
      await tab.evaluate((userId) => void window.client.watch([userId], () => {}), other);
      await eventually(
        () => tab.evaluate((userId) => window.client.get(userId)?.status, other),
        (status) => status === 'active',
      );
    };
    await sees(adas, bob);
    await sees(bobs, ada);
    await close(bobs);
    const gone = await observer.hears(bob, isInactive, { withinMs: AT_ONCE_MS });
    expect(Date.now() - Date.parse(gone.lastSeen ?? '')).toBeLessThan(AT_ONCE_MS);
    await eventually(
      () => adas.evaluate((userId) => window.client.get(userId)?.status, bob),
      (status) => status === 'inactive',
    );
  });

  test('of two tabs of one user, closing one changes nothing for others', async () => {
    const user = userOf('two-tabs');
    const first = await open(user);
    const second = await open(user);
    await eventually(
      () => sessions(user),
      (list) => list.length === 2,
    );
    await close(first);
    await eventually(
      () => sessions(user),
      (list) => list.length === 1,
    );
    expect(observer.statuses(user)).toEqual(['active']);
    await close(second);
    await observer.hears(user, isInactive);
  });

  test('a page that is loaded again is connected again', async () => {
    const user = userOf('reloader');
    const tab = await open(user);
    await tab.reload();
    await observer.hears(user, isActive, { after: 2 });
  });

  test('away to another page: gone at once; and back: here again', async () => {
    const user = userOf('back');
    const tab = await open(user);
    await tab.goto('about:blank');
    await observer.hears(user, isInactive, { withinMs: AT_ONCE_MS });
    await tab.back();
    await observer.hears(user, isActive, { after: 2 });
  });

  test('hidden for three TTLs, a page stays active and is not idle for that', async () => {
    const user = userOf('hidden');
    const tab = await open(user);
    await tab.hide();
    await eventually(
      () => tab.evaluate(() => document.visibilityState),
      (visibility) => visibility === 'hidden',
    );
    const ticksAtFirst = await tab.evaluate(() => window.ticks);
    await beatsOn(user, Date.now(), TTL_MS * 3);
    // In three TTLs a timer of 200 ms would fire 75 times. It was throttled, or this test shows nothing.
    expect((await tab.evaluate(() => window.ticks)) - ticksAtFirst).toBeLessThan(50);
    expect(await tab.evaluate(() => document.visibilityState)).toBe('hidden');
    expect(observer.statuses(user)).toEqual(['active']);
    expect((await sessions(user))[0]?.state).toBe('active');
    await tab.show();
    await eventually(
      () => sessions(user),
      ([session]) => session?.state === 'active',
    );
  });

  test('the network goes and comes back: inactive in time, active again without a reload', async () => {
    const user = userOf('traveller');
    const tab = await open(user, cable.url(user));
    cable.cut(user);
    const gone = await observer.hears(user, isInactive, { withinMs: TTL_MS + 3000 });
    expect(Date.now() - Date.parse(gone.lastSeen ?? '')).toBeGreaterThan(TTL_MS - 500);
    cable.mend(user);
    await observer.hears(user, isActive, { after: 2 });
    await isConnected(tab);
  });

  function follow(tab: Tab, path: string): Promise<void> {
    return tab.evaluate((href) => {
      const link = document.createElement('a');
      link.href = href;
      document.body.append(link);
      link.click();
    }, path);
  }

  // Firefox closes the page's connections for it.
  describe.each(['/download', '/nothing'])('a link to %s leaves the page where it is', (path) => {
    const part = `clicker-${path.slice(1)}`;

    test('and its user here, at once or soon again', async () => {
      const user = userOf(part);
      const tab = await open(user);
      const from = Date.now();
      await follow(tab, path);
      await beatsOn(user, from, 2000);
      // Its session is known before others are told, and before the page is.
      await eventually(
        () => observer.statuses(user).at(-1),
        (status) => status === 'active',
      );
      await isConnected(tab);
    });

    test('and with a grace nobody is told anything', async () => {
      const user = userOf(`${part}-graced`);
      const tab = await open(user, graced);
      const from = Date.now();
      await follow(tab, path);
      await beatsOn(user, from, GRACE_SECONDS * 1000 + 2000);
      expect(observer.statuses(user)).toEqual(['active']);
    });
  });

  test('with a grace, a page that is loaded again, or left and come back to, was never away', async () => {
    const user = userOf('graced');
    const tab = await open(user, graced);
    await tab.reload();
    await beatsOn(user, Date.now(), 0);
    await tab.goto('about:blank');
    await tab.back();
    await beatsOn(user, Date.now(), GRACE_SECONDS * 1000 + 2000);
    expect(observer.statuses(user)).toEqual(['active']);
  });
});
