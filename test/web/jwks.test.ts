import { SignJWT } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/log.ts';
import { type Authenticator, createAuthenticator } from '../../src/web/auth/auth.ts';
import { KeyServer, key, start } from '../support/key-server.ts';

let now: number;
let server: KeyServer;
let auth: Authenticator;

beforeEach(async () => {
  now = start;
  server = new KeyServer();
  const JWKS_URL = await server.open();
  const config = readConfig({ REDIS_URL: 'redis://127.0.0.1', DATABASE_URL: 'postgres://127.0.0.1/x', JWKS_URL });
  auth = createAuthenticator(config, createLogger({ logLevel: 'silent' }, 'web'), () => now);
});

afterEach(() => server.close());

test('keys of all three kinds are accepted, and a shared secret is not', async () => {
  const all = await Promise.all([key('r', 'RS256'), key('e', 'ES256'), key('d', 'EdDSA')]);
  server.keys = [...all.map(({ jwk }) => jwk), { kty: 'oct', kid: 's', k: Buffer.alloc(32).toString('base64url') }];
  for (const { sign } of all) expect((await auth.verify(await sign('ann'))).userId).toBe('ann');
  const symmetric = await new SignJWT({ sub: 'ann', exp: start / 1000 + 60 })
    .setProtectedHeader({ alg: 'HS256', kid: 's' })
    .sign(Buffer.alloc(32));
  await expect(auth.verify(symmetric)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});

test('a crowd that arrives at once causes one fetch', async () => {
  const { jwk, sign } = await key('one');
  server.keys = [jwk];
  const tokens = await Promise.all(Array.from({ length: 50 }, (_, index) => sign(`user-${index}`)));
  const callers = await Promise.all(tokens.map((token) => auth.verify(token)));
  expect(callers.map((caller) => caller.userId)).toContain('user-49');
  expect(server.fetches).toBe(1);
});

test('a new key is fetched when the first token signed with it arrives', async () => {
  const [old, fresh] = await Promise.all([key('old'), key('new')]);
  server.keys = [old.jwk];
  await auth.verify(await old.sign('ann'));
  server.keys = [fresh.jwk];
  now += 5000;
  expect((await auth.verify(await fresh.sign('bob'))).userId).toBe('bob');
  expect(server.fetches).toBe(2);
});

test('a flood of tokens with invented keys causes one fetch per cool-down', async () => {
  const [real, invented] = await Promise.all([key('real'), key('invented')]);
  server.keys = [real.jwk];
  await auth.verify(await real.sign('ann'));
  now += 5000;
  for (let index = 0; index < 20; index += 1) {
    await expect(auth.verify(await invented.sign(`eve-${index}`))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  }
  expect(server.fetches).toBe(2);
});

test('a withdrawn key is forgotten, for tokens seen before too', async () => {
  const [old, fresh] = await Promise.all([key('old'), key('new')]);
  server.keys = [old.jwk];
  const token = await old.sign('ann');
  await auth.verify(token);
  server.keys = [fresh.jwk];
  now += 600_000;
  await auth.verify(await fresh.sign('bob'));
  await expect(auth.verify(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});

test('keys go on being used for as long as their server is away', async () => {
  const { jwk, sign } = await key('one');
  server.keys = [jwk];
  await auth.verify(await sign('ann'));
  await server.close();
  now += 4 * 600_000;
  expect((await auth.verify(await sign('bob'))).userId).toBe('bob');
  expect((await auth.verify(await sign('cid'))).userId).toBe('cid');
});

test('while the key of a token cannot be fetched the answer is "later", not "no"', async () => {
  const [known, unknown] = await Promise.all([key('known'), key('unknown')]);
  server.broken = true;
  await expect(auth.verify(await known.sign('ann'))).rejects.toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: 5000 });
  await expect(auth.verify(await known.sign('ann'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(server.fetches).toBe(1);

  server.broken = false;
  server.keys = [known.jwk];
  now += 5000;
  expect((await auth.verify(await known.sign('ann'))).userId).toBe('ann');

  await server.close();
  now += 5000;
  await expect(auth.verify(await unknown.sign('eve'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect((await auth.verify(await known.sign('bob'))).userId).toBe('bob');
});

test('what is no key set is an outage, not a set without keys', async () => {
  const { jwk, sign } = await key('one');
  server.keys = [jwk];
  await auth.verify(await sign('ann'));
  server.broken = true;
  now += 600_000;
  expect((await auth.verify(await sign('bob'))).userId).toBe('bob');
});

test('a token that does not say which key it means is checked with each that fits', async () => {
  const [one, two, three] = await Promise.all([key(null), key(null), key(null)]);
  server.keys = [one.jwk, two.jwk];
  expect((await auth.verify(await one.sign('ann'))).userId).toBe('ann');
  expect((await auth.verify(await two.sign('bob'))).userId).toBe('bob');
  await expect(auth.verify(await three.sign('eve'))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});
