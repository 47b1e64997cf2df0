import { io } from 'socket.io-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isActive, isInactive, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';
import { EventReader } from '../support/event-reader.ts';
import { PROXIES, type ProxyName, type RunningProxy, startProxy } from '../support/proxies.ts';

/** As the guide says: who cuts its connections at a reload has to be given a grace. */
const CUTS: ReadonlySet<ProxyName> = new Set<ProxyName>(['caddy']);

describe.each(Object.keys(PROXIES) as ProxyName[])('behind %s, as the operations guide sets it up', (name) => {
  let rollcall: Deployment;
  let proxy: RunningProxy;
  beforeAll(async () => {
    const env = { ...CALM, TRUST_PROXY: '1', SOCKET_TRANSPORTS: 'websocket', MAX_REQUESTS_PER_IP_PER_SECOND: '20' };
    rollcall = await Deployment.start(`proxy-${name}`, {
      webs: 2,
      env: { ...env, ...(CUTS.has(name) ? { DISCONNECT_GRACE_SECONDS: '5' } : {}) },
    });
    proxy = await startProxy(name, [rollcall.web(0).url, rollcall.web(1).url]);
  });
  afterAll(async () => {
    await proxy?.stop();
    const faults = rollcall?.faults;
    await rollcall?.stop();
    expect(faults).toEqual([]);
  });

  test('requests are answered, with bodies and with a token of 10,000 characters', async () => {
    for (const more of ['', 'x'.repeat(7000)]) {
      const authorization = `Bearer ${await tokenFor('ada', { more })}`;
      const headers = { authorization, 'content-type': 'application/json' };
      const body = JSON.stringify({ userIds: ['ada', 'never-came'] });
      const answer = await fetch(`${proxy.url}/users/status/query`, { method: 'POST', headers, body });
      expect(answer.status).toBe(200);
      expect(await answer.json()).toMatchObject({ users: [{ userId: 'ada' }, { userId: 'never-came' }] });
    }
  });

  test('pages of its own name may connect, and those of others may not', async () => {
    const from = async (origin: string) => {
      const auth = { token: await tokenFor('page') };
      const socket = io(proxy.url, {
        auth,
        transports: ['websocket'],
        extraHeaders: { origin },
        forceNew: true,
        reconnection: false,
      });
      const outcome = await new Promise((resolve) => {
        socket.once('ready', () => resolve('in'));
        socket.once('connect_error', () => resolve('refused'));
      });
      socket.disconnect();
      return outcome;
    };
    expect([await from(proxy.url), await from('https://evil.example')]).toEqual(['in', 'refused']);
  });

  test('a stream of events comes at once, event by event', async () => {
    const reader = await EventReader.open(proxy.url, await tokenFor('reader'), ['dora']);
    expect((await reader.hears('snapshot')).data).toMatchObject({ users: [{ userId: 'dora', status: 'inactive' }] });
    const dora = await TestClient.connect(rollcall.url, 'dora');
    await reader.hears('user_status_change', isActive);
    dora.leave();
    // Some run with a grace of five seconds.
    const { id } = await reader.hears('user_status_change', isInactive, 15_000);
    reader.leave();
    // Another process may be the one that is asked next.
    const back = await EventReader.open(proxy.url, await tokenFor('reader'), ['dora'], id);
    await back.hears('user_status_change', isInactive);
    expect(back.events.map(({ event }) => event)).not.toContain('snapshot');
    back.leave();
  });

  test('it is reloaded again and again under open connections, and nobody is told inactive', async () => {
    const watcher = await TestClient.connect(rollcall.url, 'watcher', { watch: ['bob', 'carol', 'marker'] });
    const clients = await Promise.all(
      ['bob', 'carol'].map((id) => TestClient.connect(proxy.url, id, { deviceId: 'laptop', reconnection: true })),
    );
    for (let round = 1; round <= 3; round++) {
      const cuts = clients.map((client) => client.socket.connected && client.disconnects.length);
      await proxy.reload();
      if (CUTS.has(name)) {
        for (const [n, client] of clients.entries()) {
          await client.until(() => client.disconnects.length > Number(cuts[n]) || undefined, 'the cut', 20_000);
          await client.until(() => client.socket.connected || undefined, 'being back', 20_000);
        }
      }
      // Through the proxy as it is now, and over what was open before.
      const fresh = await TestClient.connect(proxy.url, `fresh-${round}`);
      fresh.leave();
      for (const client of clients) expect(await client.beat()).toMatchObject({ ok: true });
    }
    if (!CUTS.has(name)) expect(clients.flatMap(({ disconnects }) => disconnects)).toEqual([]);
    // Who leaves now is told inactive later than anybody who was away during a reload would have been.
    const marker = await TestClient.connect(rollcall.url, 'marker');
    marker.leave();
    await watcher.hears('marker', isInactive, { withinMs: 30_000 });
    expect(['bob', 'carol'].map((id) => watcher.statuses(id))).toEqual([['active'], ['active']]);
    for (const client of [watcher, ...clients]) client.leave();
  });

  test('the address that counts is the client’s own, whatever it pretends', async () => {
    const ask = async (n: number) => {
      const forged = { 'x-forwarded-for': `203.0.113.${n % 250}` };
      return (await fetch(`${proxy.url}/nowhere`, { headers: forged })).status;
    };
    const statuses = new Set<number>();
    // Two hundred in ten seconds are one address's; of two hundred and fifty addresses none would have that many.
    for (let n = 0; n < 2000 && !statuses.has(429); n += 50) {
      for (const status of await Promise.all(Array.from({ length: 50 }, (_, k) => ask(n + k)))) statuses.add(status);
    }
    expect(statuses).toContain(429);
  });
});
