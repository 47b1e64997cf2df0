import { afterAll, afterEach, beforeAll, expect, expectTypeOf, test } from 'vitest';
import type * as shown from '../../src/client/social.ts';
import { withSocial } from '../../src/client/social.ts';
import type { DetailSource } from '../../src/protocol/detail.ts';
import type { Device } from '../../src/protocol/http.ts';
import type * as wire from '../../src/protocol/social.ts';
import { rest, tokenFor } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';
import { Clients, until } from './world.ts';

let deployment: Deployment;
const clients = new Clients();
beforeAll(async () => {
  deployment = await Deployment.start('client-social', { env: CALM });
});
afterEach(() => clients.close());
afterAll(() => deployment?.stop());

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

test('what is shown is what the protocol says', () => {
  expectTypeOf<shown.Settings>().toEqualTypeOf<wire.Settings>();
  expectTypeOf<shown.FriendAlert>().toEqualTypeOf<typeof wire.Alert._output>();
  expectTypeOf<shown.Friend>().toEqualTypeOf<wire.FriendView>();
  expectTypeOf<shown.Source>().toEqualTypeOf<DetailSource>();
  expectTypeOf<shown.Device>().toEqualTypeOf<typeof Device._output>();
});
