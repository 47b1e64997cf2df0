import { afterAll, afterEach, beforeAll, expect, expectTypeOf, test } from 'vitest';
import webPush from 'web-push';
import type * as shown from '../../src/client/social.ts';
import { withSocial } from '../../src/client/social.ts';
import type { DetailSource } from '../../src/protocol/detail.ts';
import type { Device } from '../../src/protocol/http.ts';
import type * as wire from '../../src/protocol/social.ts';
import { rest, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';
import { PushService } from '../support/push-service.ts';
import { Clients, until } from './world.ts';

let deployment: Deployment;
let pushes: PushService;
const clients = new Clients();
beforeAll(async () => {
  const { publicKey, privateKey } = webPush.generateVAPIDKeys();
  const push = { VAPID_PUBLIC_KEY: publicKey, VAPID_PRIVATE_KEY: privateKey, VAPID_SUBJECT: 'mailto:ops@example.com' };
  const alerts = { ALERT_MIN_ABSENCE_SECONDS: '0', ALERT_STABLE_SECONDS: '0.2', ALERT_COOLDOWN_SECONDS: '0' };
  pushes = await PushService.start();
  deployment = await Deployment.start('client-social', {
    env: { ...CALM, ...push, ...alerts, PUSH_ALLOW_PRIVATE: 'true' },
  });
});
afterEach(() => clients.close());
afterAll(async () => {
  await deployment?.stop();
  await pushes?.close();
});

const social = (userId: string, getToken = () => tokenFor(userId)) =>
  withSocial(clients.connect(deployment.url, userId, { getToken }), { url: `${deployment.url}/`, getToken });

test('friends, alerts and blocks are the signed-in user’s to see and to change', async () => {
  const host = await tokenFor('host', { scope: 'presence:write' });
  await rest(deployment.url, 'PUT', '/users/ada/friends/bob', { token: host });
  const ada = social('ada');
  await ada.social.setAlert('bob', 'always');
  expect(await ada.social.friends()).toEqual([{ userId: 'bob', status: 'inactive', lastSeen: null, alert: 'always' }]);
  await ada.social.unfriend('bob');
  expect(await ada.social.friends()).toEqual([]);
  await ada.social.block('eve+x@y');
  expect(await ada.social.blocks()).toEqual(['eve+x@y']);
  await ada.social.unblock('eve+x@y');
  expect(await ada.social.blocks()).toEqual([]);
});

test('settings are changed by name, and whoever listens sees what has become of them', async () => {
  const cal = social('cal');
  expect(await cal.settings.get()).toEqual({
    visibility: 'everyone',
    lastSeenVisibility: 'everyone',
    lastSeenPrecision: 'exact',
    alertFriends: true,
  });
  expect(cal.privacy.get()).toBeUndefined();
  const end = cal.privacy.subscribe(() => {});
  await until(cal.privacy, (known) => known?.settings.visibility === 'everyone' && known.blocks.length === 0);
  await cal.settings.change({ lastSeenVisibility: 'friends' });
  await cal.social.block('eve');
  expect(cal.privacy.get()).toMatchObject({ settings: { lastSeenVisibility: 'friends' }, blocks: ['eve'] });
  end();
});

test('what the server refuses rejects with its code, and a token that is over is asked for anew', async () => {
  let asked = 0;
  const dan = social('dan', async () => tokenFor('dan', { expiresInSeconds: asked++ < 2 ? -60 : 3600 }));
  const gone = social('gone', () => Promise.resolve(null as never));
  await expect(gone.settings.get()).rejects.toMatchObject({ name: 'PresenceError', code: 'SIGNED_OUT' });
  for (;;) {
    const refused = await dan.social.friends().catch((error) => error);
    if (Array.isArray(refused)) break;
    expect(refused).toMatchObject({ name: 'PresenceError', code: 'TOKEN_EXPIRED' });
  }
  await expect(dan.social.block('dan')).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  await expect(dan.settings.change({})).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  const nowhere = withSocial(clients.connect(deployment.url, 'eli'), {
    url: 'http://127.0.0.1:9',
    getToken: () => tokenFor('eli'),
  });
  await expect(nowhere.social.friends()).rejects.toMatchObject({ code: 'NOT_CONNECTED' });
});

test('who says what of the signed-in user is asked for while somebody listens, and anew with every change', async () => {
  const host = await tokenFor('host', { scope: 'presence:write' });
  const fay = social('fay');
  const endWatch = fay.watch(['fay'], () => {});
  const end = fay.sources.subscribe(() => {});
  await until(fay.sources, (known) => known?.length === 0);
  await rest(deployment.url, 'PUT', '/users/fay/detail/calendar', { token: host, body: { text: 'Meeting' } });
  await until(fay.sources, (known) => known?.[0]?.source === 'calendar' && known[0].shown);
  await fay.setDetail({ availability: 'busy' });
  expect(fay.sources.get()?.map(({ source, shown }) => [source, shown])).toEqual([
    ['manual', true],
    ['calendar', false],
  ]);
  endWatch();
  end();
});

test('what was said and taken back before others were told of either is not shown any longer', async () => {
  const host = await tokenFor('host', { scope: 'presence:write' });
  const kim = social('kim');
  const endWatch = kim.watch(['kim'], () => {});
  const end = kim.sources.subscribe(() => {});
  await until(kim.sources, (known) => known?.length === 0);
  await until(kim.everyone, (known) => known[0]?.status === 'active');
  const [worker] = deployment.workers;
  worker?.kill('SIGSTOP');
  try {
    await kim.setDetail({ text: 'Lunch' });
    expect(kim.sources.get()?.map(({ text }) => text)).toEqual(['Lunch']);
    await rest(deployment.url, 'DELETE', '/users/kim/detail/manual', { token: host });
  } finally {
    worker?.kill('SIGCONT');
  }
  await until(kim.sources, (known) => known?.length === 0);
  endWatch();
  end();
});

test('by which devices somebody is here is asked anew with whatever is told of them, also where it looks the same', async () => {
  const max = social('max');
  const phone = clients.connect(deployment.url, 'ned', { device: { kind: 'mobile' } });
  await until(phone.connection, ({ status }) => status === 'connected');
  const [worker] = deployment.workers;
  worker?.kill('SIGSTOP');
  let end: (() => void) | undefined;
  try {
    await phone.setStatus('inactive');
    const devices = max.devicesOf('ned');
    end = devices.subscribe(() => {});
    await until(devices, (known) => known?.length === 0);
    await until(max.everyone, (known) => known[0]?.status === 'inactive');
    await phone.setStatus('active');
    worker?.kill('SIGCONT');
    await until(devices, (known) => known?.[0]?.kind === 'mobile');
  } finally {
    worker?.kill('SIGCONT');
    end?.();
  }
});

test('where the server cannot answer, it is asked again', async () => {
  let isRefused = true;
  const lee = social('lee', () => {
    if (isRefused) throw new Error('The session server is away');
    return tokenFor('lee');
  });
  const end = lee.privacy.subscribe(() => {});
  await expect(lee.settings.get()).rejects.toThrow('The session server is away');
  expect(lee.privacy.get()).toBeUndefined();
  isRefused = false;
  await until(lee.privacy, (known) => known?.settings.visibility === 'everyone');
  end();
});

test('devices are asked for by name, and tell nothing of who appears inactive', async () => {
  const gus = social('gus');
  const phone = clients.connect(deployment.url, 'hal', { device: { kind: 'mobile' } });
  await until(phone.connection, ({ status }) => status === 'connected');
  expect(await gus.social.devices(['hal', 'nobody'])).toEqual(
    new Map([
      ['hal', [{ kind: 'mobile', state: 'active' }]],
      ['nobody', []],
    ]),
  );
  await phone.setStatus('inactive');
  expect((await gus.social.devices(['hal'])).get('hal')).toEqual([]);
});

test('who asked for it is told that a friend came: on the page, and by Web Push once no page of theirs is open and until they end it', async () => {
  const host = await tokenFor('host', { scope: 'presence:write' });
  await rest(deployment.url, 'PUT', '/users/ida/friends/jon', { token: host });
  const ida = social('ida');
  const heard: string[] = [];
  ida.onFriendActive(({ userId }) => heard.push(userId));
  await until(ida.connection, ({ status }) => status === 'connected');
  const { registration, listening, made } = browserWithPush();
  expect(await ida.push.isSubscribed(registration)).toBe(false);
  await ida.push.subscribe(registration);
  expect(await ida.push.isSubscribed(registration)).toBe(true);
  await ida.push.subscribe(registration);
  // Of the same key or another: one subscription, made anew.
  expect(made).toEqual([deployment.env.VAPID_PUBLIC_KEY, 'ended', deployment.env.VAPID_PUBLIC_KEY]);
  const kept = () => deployment.db('push_subscriptions').where({ user_id: 'ida' });
  expect((await kept()).map(({ endpoint }) => endpoint)).toEqual([listening.endpoint]);
  await ida.social.setAlert('jon', 'always');

  const come = () => clients.connect(deployment.url, 'jon');
  const comes = come();
  await eventually(
    () => heard.join(),
    (ids) => ids === 'jon',
  );
  expect(listening.received).toEqual([]);
  comes.close();
  ida.close();
  for (const id of ['ida', 'jon']) await untilAway(id);
  come();
  await eventually(
    () => listening.received.length,
    (count) => count === 1,
  );
  expect(listening.messages[0]).toMatchObject({ userId: 'jon' });
  expect(heard).toEqual(['jon']);

  await ida.push.unsubscribe(registration);
  await ida.push.unsubscribe(registration);
  expect(await kept()).toEqual([]);
  expect(made.at(-1)).toBe('ended');
  // What was made with a key that the server no longer has brings nothing.
  await registration.pushManager.subscribe({ applicationServerKey: webPush.generateVAPIDKeys().publicKey });
  expect(await ida.push.isSubscribed(registration)).toBe(false);
});

test('while any source says not to disturb, no push is sent and no "once" is used up; an open page is told all the same', async () => {
  const host = await tokenFor('host', { scope: 'presence:write' });
  const pushed = async (userId: string, alert: 'once' | 'always') => {
    await rest(deployment.url, 'PUT', `/users/${userId}/friends/moe`, { token: host });
    const client = social(userId);
    const { registration, listening } = browserWithPush();
    await client.push.subscribe(registration);
    await client.social.setAlert('moe', alert);
    client.close();
    return { client, listening };
  };
  const [kim, lea] = [await pushed('kim', 'once'), await pushed('lea', 'always')];
  const left = { token: host, body: { availability: 'dnd' } };
  await rest(deployment.url, 'PUT', '/users/kim/detail/calendar', left);
  await rest(deployment.url, 'PUT', '/users/kim/detail/call', { token: host, body: { text: 'stronger' } });
  const moe = clients.connect(deployment.url, 'moe');
  await eventually(
    () => lea.listening.received.length,
    (count) => count === 1,
  );
  const alertOf = async () => (await kim.client.social.friends())[0]?.alert;
  expect(await alertOf()).toBe('once');

  const heard: string[] = [];
  const page = social('kim');
  page.onFriendActive(({ userId }) => heard.push(userId));
  await until(page.connection, ({ status }) => status === 'connected');
  moe.close();
  await untilAway('moe');
  clients.connect(deployment.url, 'moe');
  await eventually(
    () => heard.join(),
    (ids) => ids === 'moe',
  );
  await eventually(alertOf, (alert) => alert === 'never');
  expect(kim.listening.received).toEqual([]);
});

test('what is shown is what the protocol says', () => {
  expectTypeOf<shown.Settings>().toEqualTypeOf<wire.Settings>();
  expectTypeOf<shown.FriendAlert>().toEqualTypeOf<typeof wire.Alert._output>();
  expectTypeOf<shown.Friend>().toEqualTypeOf<wire.FriendView>();
  expectTypeOf<shown.Source>().toEqualTypeOf<DetailSource>();
  expectTypeOf<shown.Device>().toEqualTypeOf<typeof Device._output>();
});

const untilAway = (id: string) =>
  eventually(
    () => deployment.db('users').where({ id }).first(),
    (row) => row?.status === 'inactive',
  );

/** What a browser hands over: its maker's push service, out of reach here, is a small one of the test's own. */
function browserWithPush() {
  const listening = pushes.browser();
  const made: string[] = [];
  let subscription: object | null = null;
  const pushManager = {
    getSubscription: async () => subscription,
    async subscribe({ applicationServerKey }: { applicationServerKey: string }) {
      made.push(applicationServerKey);
      subscription = {
        toJSON: () => listening.subscription,
        endpoint: listening.endpoint,
        options: { applicationServerKey: new Uint8Array(Buffer.from(applicationServerKey, 'base64url')).buffer },
        async unsubscribe() {
          made.push('ended');
          subscription = null;
          return true;
        },
      };
      return subscription;
    },
  };
  return { registration: { pushManager } as unknown as ServiceWorkerRegistration, listening, made };
}
