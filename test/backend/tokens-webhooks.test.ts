import { createHmac } from 'node:crypto';
import { jwtVerify } from 'jose';
import { expect, expectTypeOf, test } from 'vitest';
import type * as told from '../../src/backend/index.ts';
import { RollcallError, signServiceToken, signUserToken, verifyWebhook } from '../../src/backend/index.ts';
import type * as analytics from '../../src/protocol/analytics.ts';
import type * as changes from '../../src/protocol/changes.ts';
import type * as http from '../../src/protocol/http.ts';
import type * as leases from '../../src/protocol/leases.ts';
import type * as push from '../../src/protocol/push.ts';
import type * as social from '../../src/protocol/social.ts';
import type * as words from '../../src/protocol/vocabulary.ts';

const SECRET = 'a secret of at least thirty-two bytes, both here and there';

test('a token for a user says who, for how long, and for whom', async () => {
  const options = { issuer: 'https://app.example.com', audience: 'rollcall', keyId: 'k1', expiresInSeconds: 60 };
  const token = await signUserToken({ key: SECRET, userId: 'ada', ...options });
  const { payload, protectedHeader } = await jwtVerify(token, new TextEncoder().encode(SECRET), {
    issuer: options.issuer,
    audience: options.audience,
  });
  expect(protectedHeader).toEqual({ alg: 'HS256', typ: 'JWT', kid: 'k1' });
  expect(payload).toMatchObject({ sub: 'ada' });
  expect(payload.scope).toBeUndefined();
  expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(60);
});

test('further claims of a user go along, but make nobody else of them, nor a service', async () => {
  const claims = { name: 'Ada', rooms: ['page:*'], sub: 'eve', scope: 'presence:write', exp: 1, iss: 'theirs' };
  const token = await signUserToken({ key: SECRET, userId: 'ada', claims, issuer: 'ours' });
  const { payload } = await jwtVerify(token, new TextEncoder().encode(SECRET));
  expect(payload).toMatchObject({ sub: 'ada', name: 'Ada', rooms: ['page:*'], iss: 'ours' });
  expect(payload.scope).toBeUndefined();
});

test.each([
  [
    'RS256',
    { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
  ],
  ['ES256', { name: 'ECDSA', namedCurve: 'P-256' }],
  ['EdDSA', { name: 'Ed25519' }],
])('a private key signs with %s', async (alg, algorithm) => {
  const pair = (await crypto.subtle.generateKey(algorithm, false, ['sign', 'verify'])) as CryptoKeyPair;
  const token = await signServiceToken({ key: pair.privateKey, scope: 'presence:read' });
  const { payload, protectedHeader } = await jwtVerify(token, pair.publicKey);
  expect([protectedHeader.alg, payload.sub, payload.scope]).toEqual([alg, 'backend', 'presence:read']);
});

test('a key that Rollcall would not take is refused at once', async () => {
  await expect(signUserToken({ key: 'short', userId: 'ada' })).rejects.toThrow(TypeError);
  // An environment variable that is not set, in a language that does not mind.
  const unset = process.env.THERE_IS_NO_SUCH_SECRET as string;
  await expect(signUserToken({ key: unset, userId: 'ada' })).rejects.toThrow('at least 32 bytes, as JWT_SECRET is');
  await expect(verifyWebhook({ headers: signed(BODY), body: BODY, secret: unset })).rejects.toThrow('WEBHOOK_SECRET');
  const { privateKey } = (await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, false, [
    'deriveBits',
  ])) as CryptoKeyPair;
  await expect(signUserToken({ key: privateKey, userId: 'ada' })).rejects.toThrow(TypeError);
});

const BODY = JSON.stringify({ id: '8f3a01bc-1-2', changes: [], nextCursor: 'Y2g', reset: true });
function signed(body: string, at = Math.floor(Date.now() / 1000), secret = SECRET) {
  const hex = createHmac('sha256', secret).update(`${at}.${body}`).digest('hex');
  return { 'rollcall-timestamp': String(at), 'rollcall-signature': `v1=${hex}` };
}
const refused = { name: 'RollcallError', code: 'INVALID_SIGNATURE' };

test('a webhook is read once it is sure who sent it, however its headers and its body came', async () => {
  const headers = signed(BODY);
  const delivery = { id: '8f3a01bc-1-2', changes: [], reset: true };
  expect(await verifyWebhook({ headers, body: BODY, secret: SECRET })).toMatchObject(delivery);
  const bytes = new TextEncoder().encode(BODY);
  expect(await verifyWebhook({ headers: new Headers(headers), body: bytes, secret: SECRET })).toMatchObject(delivery);
  const titled = {
    'Rollcall-Timestamp': headers['rollcall-timestamp'],
    'Rollcall-Signature': headers['rollcall-signature'],
  };
  expect(await verifyWebhook({ headers: titled, body: BODY, secret: ['the next', SECRET] })).toMatchObject(delivery);
});

test('a webhook of which both sides know one secret is taken, whichever it is and however it is written', async () => {
  const at = String(Math.floor(Date.now() / 1000));
  const key = Buffer.alloc(32, 5);
  const standard = (secret: string | Buffer) =>
    `v1,${createHmac('sha256', secret).update(`8f3a01bc-1-2.${at}.${BODY}`).digest('base64')}`;
  const headers = {
    ...signed(BODY, Number(at), 'the first of its secrets, which signs both headers'),
    'webhook-id': '8f3a01bc-1-2',
    'webhook-timestamp': at,
    'webhook-signature': `v1a,x ${standard('the first of its secrets, which signs both headers')} ${standard(SECRET)} ${standard(key)}`,
  };
  for (const secret of [SECRET, `whsec_${key.toString('base64')}`]) {
    expect(await verifyWebhook({ headers, body: BODY, secret })).toMatchObject({ id: '8f3a01bc-1-2' });
    const other = { ...headers, 'webhook-id': '8f3a01bc-1-3' };
    await expect(verifyWebhook({ headers: other, body: BODY, secret })).rejects.toMatchObject(refused);
  }
  await expect(verifyWebhook({ headers, body: BODY, secret: key.toString('base64') })).rejects.toMatchObject(refused);
});

test('a webhook that was changed, is old, or is of somebody else is refused', async () => {
  const now = Math.floor(Date.now() / 1000);
  const tries = [
    { headers: signed(BODY), body: `${BODY} ` },
    { headers: signed(BODY, now - 301), body: BODY },
    { headers: signed(BODY, now + 301), body: BODY },
    { headers: signed(BODY, now, 'the secret of somebody else'), body: BODY },
    { headers: { ...signed(BODY), 'rollcall-timestamp': String(now - 1) }, body: BODY },
    { headers: { ...signed(BODY), 'rollcall-timestamp': 'NaN' }, body: BODY },
    { headers: { ...signed(BODY), 'rollcall-signature': 'v1=00' }, body: BODY },
    { headers: {}, body: BODY },
  ];
  for (const one of tries) await expect(verifyWebhook({ ...one, secret: SECRET })).rejects.toMatchObject(refused);
  expect(new RollcallError('X', 'x').mayPass).toBe(false);
});

/** The package writes its types out, so that it needs nothing of the service. They are still the protocol's. */
test('what the package for backends shows is what the protocol says', () => {
  expectTypeOf<told.Visibility>().toEqualTypeOf<typeof social.Visibility._output>();
  expectTypeOf<told.FriendAlert>().toEqualTypeOf<typeof social.Alert._output>();
  expectTypeOf<told.UserStatus>().toEqualTypeOf<words.StatusPayload>();
  expectTypeOf<words.ShownDetail>().toExtend<told.Detail>();
  expectTypeOf<keyof told.Detail>().toEqualTypeOf<keyof words.ShownDetail>();
  expectTypeOf<told.Device>().toEqualTypeOf<typeof http.Device._output>();
  expectTypeOf<told.Why>().toEqualTypeOf<http.Why>();
  expectTypeOf<http.StatusAnswer>().toExtend<told.UserStatusWithExtras>();
  expectTypeOf<told.Session>().toEqualTypeOf<http.SessionView>();
  expectTypeOf<told.Lease>().toEqualTypeOf<leases.LeaseAnswer>();
  expectTypeOf<told.LeaseName>().toEqualTypeOf<leases.LeaseName>();
  expectTypeOf<told.LeaseRequest>().toEqualTypeOf<leases.LeaseBody>();
  expectTypeOf<told.Profile>().toEqualTypeOf<social.Profile>();
  expectTypeOf<told.Settings>().toEqualTypeOf<social.Settings>();
  expectTypeOf<social.FriendView>().toExtend<told.Friend>();
  expectTypeOf<told.Friend>().toExtend<social.FriendView>();
  expectTypeOf<Omit<push.PushSubscriptionBody, 'expirationTime'>>().toEqualTypeOf<
    Omit<told.PushSubscriptionJson, 'expirationTime'>
  >();
  expectTypeOf<told.ActiveCounts>().toEqualTypeOf<analytics.ActiveAnswer>();
  expectTypeOf<told.TimelinePoint>().toEqualTypeOf<typeof analytics.TimelinePoint._output>();
  expectTypeOf<told.Transition>().toEqualTypeOf<typeof analytics.Transition._output>();
  expectTypeOf<Omit<told.Change, 'type'>>().toEqualTypeOf<changes.FeedChange>();
  expectTypeOf<told.RoomTold>().toEqualTypeOf<changes.FeedRoomChange>();
  expectTypeOf<changes.WebhookDelivery>().toExtend<told.WebhookDelivery>();
  expectTypeOf<http.ReadyAnswer>().toExtend<told.Readiness>();
});
