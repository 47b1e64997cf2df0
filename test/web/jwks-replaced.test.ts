import { generateKeyPairSync } from 'node:crypto';
import { exportJWK } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/log.ts';
import { type Authenticator, createAuthenticator } from '../../src/web/auth/auth.ts';
import { KeyServer, key, start } from '../support/key-server.ts';

let now: number;
let server: KeyServer;
let auth: Authenticator;
let logged: string[];

function authenticator(JWKS_URL: string): Authenticator {
  const config = readConfig({ REDIS_URL: 'redis://127.0.0.1', DATABASE_URL: 'postgres://127.0.0.1/x', JWKS_URL });
  const log = createLogger({ logLevel: 'debug' }, 'web', { write: (line: string) => logged.push(line) });
  return createAuthenticator(config, log, () => now);
}

beforeEach(async () => {
  now = start;
  logged = [];
  server = new KeyServer();
  auth = authenticator(await server.open());
});

afterEach(() => server.close());

describe.each([
  ['under the same kid', 'main'],
  ['without any kid', null],
])('a key that is replaced %s', (_how, kid) => {
  test('is fetched as soon as a token comes that the old one does not fit', async () => {
    const [old, fresh] = await Promise.all([key(kid), key(kid)]);
    server.keys = [old.jwk];
    await auth.verify(await old.sign('ann'));
    server.keys = [fresh.jwk];
    now += 5000;
    expect((await auth.verify(await fresh.sign('bob'))).userId).toBe('bob');
    await expect(auth.verify(await old.sign('cid'))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(server.fetches).toBe(2);
  });

  test('may be of another kind than the old one', async () => {
    const [old, fresh] = await Promise.all([key(kid, 'ES256'), key(kid, 'RS256')]);
    server.keys = [old.jwk];
    await auth.verify(await old.sign('ann'));
    server.keys = [fresh.jwk];
    now += 5000;
    expect((await auth.verify(await fresh.sign('bob'))).userId).toBe('bob');
  });

  test('is fetched once for a crowd, and all of it is let in', async () => {
    const [old, fresh] = await Promise.all([key(kid), key(kid)]);
    server.keys = [old.jwk];
    await auth.verify(await old.sign('ann'));
    server.keys = [fresh.jwk];
    now += 5000;
    const tokens = await Promise.all(Array.from({ length: 50 }, (_, index) => fresh.sign(`user-${index}`)));
    const callers = await Promise.all(tokens.map((token) => auth.verify(token)));
    expect(callers.map(({ userId }) => userId)).toContain('user-49');
    expect(server.fetches).toBe(2);
  });

  test('cannot be asked for by bad signatures more than once per cool-down', async () => {
    const [real, forged] = await Promise.all([key(kid), key(kid)]);
    server.keys = [real.jwk];
    await auth.verify(await real.sign('ann'));
    for (let round = 0; round < 3; round++) {
      now += 5000;
      for (let index = 0; index < 10; index++) {
        const token = await forged.sign(`eve-${round}-${index}`);
        await expect(auth.verify(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED', reason: 'wrong_key' });
      }
    }
    expect(server.fetches).toBe(1 + 3);
  });

  test('keeps nobody waiting whose token fits, while bad signatures wait for the fetch', async () => {
    const [real, forged] = await Promise.all([key(kid), key(kid)]);
    server.keys = [real.jwk];
    await auth.verify(await real.sign('ann'));
    now += 5000;
    const { promise, resolve } = Promise.withResolvers<void>();
    server.gate = promise;
    let answered = false;
    const bad = auth.verify(await forged.sign('eve')).catch((error) => {
      answered = true;
      return error;
    });
    await expect.poll(() => server.fetches).toBe(2);
    expect((await auth.verify(await real.sign('bob'))).userId).toBe('bob');
    expect(answered).toBe(false);
    resolve();
    expect(await bad).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  test('cannot be learned of while its server fails: a bad signature stays one, and good tokens stay good', async () => {
    const [real, forged] = await Promise.all([key(kid), key(kid)]);
    server.keys = [real.jwk];
    await auth.verify(await real.sign('ann'));
    server.broken = true;
    now += 5000;
    await expect(auth.verify(await forged.sign('eve'))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await auth.verify(await real.sign('bob'))).userId).toBe('bob');
    server.broken = false;
    server.keys = [forged.jwk];
    now += 5000;
    expect((await auth.verify(await forged.sign('cid'))).userId).toBe('cid');
  });
});

test('of several keys without a name one may be replaced', async () => {
  const [one, two, three] = await Promise.all([key(null), key(null), key(null)]);
  server.keys = [one.jwk, two.jwk];
  await auth.verify(await one.sign('ann'));
  server.keys = [one.jwk, three.jwk];
  now += 5000;
  expect((await auth.verify(await three.sign('bob'))).userId).toBe('bob');
  await expect(auth.verify(await two.sign('cid'))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  expect(server.fetches).toBe(2);
});

test('a key that was published in a shape that cannot be used is fetched again once it is mended', async () => {
  const good = await key('one');
  server.keys = [{ ...good.jwk, x: 'AAAA' }];
  const token = await good.sign('ann');
  await expect(auth.verify(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED', reason: 'unknown_key' });
  server.keys = [good.jwk];
  now += 5000;
  expect((await auth.verify(token)).userId).toBe('ann');
});

test('a key that is too short to be safe is no key', async () => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  server.keys = [{ ...(await exportJWK(publicKey)), alg: 'RS256', kid: 'short' }];
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const token = `${part({ alg: 'RS256', kid: 'short' })}.${part({ sub: 'ann', exp: start / 1000 + 60 })}.AAAA`;
  await expect(auth.verify(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED', reason: 'unknown_key' });
});

test.each([
  ['a user and a password', 'ann:hush', 'ann:hush'],
  ['signs that an address cannot hold as they are', 'a%40b:h%3Au%2Fsh%25%C3%A9', 'a@b:h:u/sh%é'],
  ['a user alone', 'hush', 'hush:'],
  ['a password alone', ':hush', ':hush'],
])('an address with %s sends them as HTTP Basic, and logs none of it', async (_what, inAddress, sent) => {
  const { jwk, sign } = await key('one');
  server.keys = [jwk];
  server.login = `Basic ${Buffer.from(sent).toString('base64')}`;
  const url = new URL(server.address);
  const withLogin = authenticator(`http://${inAddress}@${url.host}${url.pathname}?key=hush`);
  expect((await withLogin.verify(await sign('ann'))).userId).toBe('ann');
  server.broken = true;
  now += 5000;
  await expect(withLogin.verify(await (await key('other')).sign('ann'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(logged.join()).toContain('the keys of the tokens could not be fetched');
  expect(logged.join()).not.toContain('hush');
  expect(logged.join()).not.toContain(server.login);
});

test('without a login that is asked for, no key is had', async () => {
  const { jwk, sign } = await key('one');
  server.keys = [jwk];
  server.login = 'Basic something';
  await expect(auth.verify(await sign('ann'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});
