import { createHmac, createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type JWTPayload, SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/log.ts';
import type { ErrorCode } from '../../src/protocol/errors.ts';
import { type Authenticator, createAuthenticator } from '../../src/web/auth/auth.ts';

const secret = 'a secret of rather more than thirty-two bytes';
const secretKey = createSecretKey(Buffer.from(secret));
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const log = createLogger({ logLevel: 'silent' }, 'web');

/** A whole second, so that the edges of the clock skew can be hit exactly. */
const start = 1_800_000_000_000;

function authenticator(env: NodeJS.ProcessEnv, now: () => number = () => start): Authenticator {
  const config = readConfig({ REDIS_URL: 'redis://127.0.0.1', DATABASE_URL: 'postgres://127.0.0.1/x', ...env });
  return createAuthenticator(config, log, now);
}

function sign(payload: JWTPayload, key: KeyObject = secretKey, alg = 'HS256'): Promise<string> {
  return new SignJWT({ sub: 'ann', exp: start / 1000 + 60, ...payload }).setProtectedHeader({ alg }).sign(key);
}

function pem(pair: { publicKey: KeyObject }): string {
  return pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
}

async function expectRefusal(attempt: Promise<unknown>, code: ErrorCode): Promise<void> {
  await expect(attempt).rejects.toMatchObject({ name: 'RollcallError', code });
}

/** A token made by hand, for what no honest library signs. */
function forge(header: object, payload: object, hmacKey?: string | Buffer): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part(header)}.${part(payload)}`;
  const signature = hmacKey === undefined ? '' : createHmac('sha256', hmacKey).update(signed).digest('base64url');
  return `${signed}.${signature}`;
}

describe('a token names its bearer', () => {
  const auth = authenticator({ JWT_SECRET: secret });

  test('an end user is known by sub, until exp', async () => {
    expect(await auth.verify(await sign({}))).toEqual({
      userId: 'ann',
      expiresAt: start + 60_000,
      service: null,
      claims: {},
      rooms: [],
    });
  });

  test.each([
    ['openid profile', null],
    ['presence:read', { read: true, write: false }],
    ['openid presence:write', { read: true, write: true }],
    ['presence:read presence:write', { read: true, write: true }],
    ['presence:everything', { read: false, write: false }],
    [['presence:write'], null],
  ])('scope %j grants %j', async (scope, service) => {
    expect((await auth.verify(await sign({ scope }))).service).toEqual(service);
  });

  test('name and picture are taken where they are texts, without control characters and not too long', async () => {
    const clean = await auth.verify(
      await sign({ name: ' A\u0000n\nn \u{1F600}\ud800', picture: 'https://x.example/a.png' }),
    );
    expect(clean.claims).toEqual({ name: 'Ann \u{1F600}', picture: 'https://x.example/a.png' });
    const long = await auth.verify(await sign({ name: `${'x'.repeat(199)}\u{1F600}`, picture: 'p'.repeat(3000) }));
    expect(long.claims).toEqual({ name: 'x'.repeat(199), picture: 'p'.repeat(2000) });
    const odd = await auth.verify(await sign({ name: 7, picture: { href: 'x' } }));
    expect(odd.claims).toEqual({});
    expect((await auth.verify(await sign({ name: ' \t ' }))).claims).toEqual({});
  });

  test('a sub that is no user id is told apart from a bad token', async () => {
    for (const sub of ['', 'a b', 'ü', 'x'.repeat(129), 'ann\n', '../etc']) {
      await expectRefusal(auth.verify(await sign({ sub })), 'INVALID_USER_ID');
    }
    const number = forge({ alg: 'HS256' }, { sub: 42, exp: start / 1000 + 60 }, secret);
    await expectRefusal(auth.verify(number), 'INVALID_USER_ID');
    for (const sub of ['x'.repeat(128), '7', 'auth0|5:a~b@c.d+e_f-g']) {
      expect((await auth.verify(await sign({ sub }))).userId).toBe(sub);
    }
  });
});

describe('a token that proves nothing is refused', () => {
  const auth = authenticator({ JWT_SECRET: secret });
  const exp = start / 1000 + 60;

  test('no token, no JWT, a changed one, another key', async () => {
    const good = await sign({});
    const [header, , signature] = good.split('.');
    const other = Buffer.from(JSON.stringify({ sub: 'bob', exp })).toString('base64url');
    const tokens = ['', 'abc', 'a.b.c', `${header}.${other}.${signature}`, `${good}x`];
    for (const token of tokens) await expectRefusal(auth.verify(token), 'UNAUTHENTICATED');
    await expectRefusal(auth.verify('x'.repeat(20_000)), 'PAYLOAD_TOO_LARGE');
    const foreign = createSecretKey(Buffer.from('another secret of more than thirty-two bytes'));
    await expectRefusal(auth.verify(await sign({}, foreign)), 'UNAUTHENTICATED');
  });

  test('none is never an algorithm', async () => {
    for (const alg of ['none', 'None', 'NONE', '']) {
      await expectRefusal(auth.verify(forge({ alg }, { sub: 'ann', exp })), 'UNAUTHENTICATED');
    }
  });

  test('sub and exp are required, and exp must be a time', async () => {
    for (const payload of [{ sub: 'ann' }, { exp }, { sub: 'ann', exp: String(exp) }, { sub: 'ann', exp: null }]) {
      await expectRefusal(auth.verify(forge({ alg: 'HS256' }, payload, secret)), 'UNAUTHENTICATED');
    }
    const header = Buffer.from('{"alg":"HS256"}').toString('base64url');
    const endless = `${header}.${Buffer.from('{"sub":"ann","exp":1e400}').toString('base64url')}`;
    const signature = createHmac('sha256', secret).update(endless).digest('base64url');
    await expectRefusal(auth.verify(`${endless}.${signature}`), 'UNAUTHENTICATED');
  });

  test('only the algorithm that fits the secret is accepted', async () => {
    const longer = createSecretKey(Buffer.from(secret + secret));
    const strict = authenticator({ JWT_SECRET: secret + secret });
    await expectRefusal(strict.verify(await sign({}, longer, 'HS512')), 'UNAUTHENTICATED');
    await expectRefusal(auth.verify(await sign({}, rsa.privateKey, 'RS256')), 'UNAUTHENTICATED');
  });

  test('issuer and audience are checked where they are set', async () => {
    const strict = authenticator({ JWT_SECRET: secret, JWT_ISSUER: 'https://id.example', JWT_AUDIENCE: 'rollcall' });
    const fits = { iss: 'https://id.example', aud: ['other', 'rollcall'] };
    expect((await strict.verify(await sign(fits))).userId).toBe('ann');
    for (const wrong of [
      { ...fits, iss: 'https://evil.example' },
      { ...fits, aud: 'other' },
      { aud: 'rollcall' },
      {},
    ]) {
      await expectRefusal(strict.verify(await sign(wrong)), 'UNAUTHENTICATED');
    }
    expect((await auth.verify(await sign({ iss: 'anybody', aud: 'anything' }))).userId).toBe('ann');
  });
});

describe('the clock', () => {
  const expiring = (offsetMs: number) => authenticator({ JWT_SECRET: secret }, () => start + offsetMs);

  test('a token is good until 5 s after exp, and not a moment longer', async () => {
    const token = await sign({ exp: start / 1000 });
    expect((await expiring(4999).verify(token)).expiresAt).toBe(start);
    await expectRefusal(expiring(5000).verify(token), 'TOKEN_EXPIRED');
  });

  test('a token that ends within a second is good for as long, to the millisecond', async () => {
    const token = forge({ alg: 'HS256' }, { sub: 'ann', exp: start / 1000 + 0.25 }, secret);
    expect((await expiring(5249).verify(token)).expiresAt).toBe(start + 250);
    await expectRefusal(expiring(5250).verify(token), 'TOKEN_EXPIRED');
  });

  test('where a token has to be good for a while yet, it is refused by so much sooner, seen before or not', async () => {
    let now = start;
    const auth = authenticator({ JWT_SECRET: secret }, () => now);
    const token = await sign({ exp: start / 1000 });
    for (const seen of [false, true]) {
      now = start + 4000;
      await expectRefusal(auth.verify(token, 1000), 'TOKEN_EXPIRED');
      expect([seen, (await auth.verify(token)).userId]).toEqual([seen, 'ann']);
      now = start + 3999;
      expect((await auth.verify(token, 1000)).userId).toBe('ann');
    }
  });

  test('a token that was seen before expires all the same', async () => {
    let now = start;
    const auth = authenticator({ JWT_SECRET: secret }, () => now);
    const token = await sign({ exp: start / 1000 + 10 });
    const first = await auth.verify(token);
    now = start + 14_999;
    expect(await auth.verify(token)).toEqual(first);
    now = start + 15_000;
    await expectRefusal(auth.verify(token), 'TOKEN_EXPIRED');
  });

  test('a token of a clock that runs up to 5 s ahead is good', async () => {
    expect((await expiring(0).verify(await sign({ nbf: start / 1000 + 5 }))).userId).toBe('ann');
    await expectRefusal(expiring(0).verify(await sign({ nbf: start / 1000 + 6 })), 'UNAUTHENTICATED');
  });
});

describe('a public key', () => {
  test.each([
    ['RS256', rsa],
    ['ES256', ec],
    ['EdDSA', ed],
  ])('checks %s, and nothing else', async (alg, pair) => {
    const auth = authenticator({ JWT_PUBLIC_KEY: pem(pair) });
    expect((await auth.verify(await sign({}, pair.privateKey, alg))).userId).toBe('ann');
    await expectRefusal(auth.verify(await sign({})), 'UNAUTHENTICATED');
  });

  test('does not pass for a secret, although everybody knows it', async () => {
    const auth = authenticator({ JWT_PUBLIC_KEY: pem(rsa) });
    const payload = { sub: 'ann', exp: start / 1000 + 60 };
    const der = rsa.publicKey.export({ type: 'spki', format: 'der' });
    for (const key of [pem(rsa), pem(rsa).trim(), der]) {
      await expectRefusal(auth.verify(forge({ alg: 'HS256' }, payload, key)), 'UNAUTHENTICATED');
    }
  });

  test('of RSA accepts neither another padding nor another hash', async () => {
    const auth = authenticator({ JWT_PUBLIC_KEY: pem(rsa) });
    for (const alg of ['PS256', 'RS384', 'RS512']) {
      await expectRefusal(auth.verify(await sign({}, rsa.privateKey, alg)), 'UNAUTHENTICATED');
    }
  });
});
