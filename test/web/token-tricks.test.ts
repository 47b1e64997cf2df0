import { createHmac, createPrivateKey, generateKeyPairSync, sign as signBytes } from 'node:crypto';
import { exportJWK, importPKCS8, SignJWT } from 'jose';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { createAuthenticator } from '../../src/web/auth/auth.ts';

const secret = 'a secret that the attacker does not know of';
const stores = { REDIS_URL: 'redis://127.0.0.1:1', DATABASE_URL: 'postgres://127.0.0.1:1/x' };
const auth = (env: Record<string, string>) =>
  createAuthenticator(readConfig({ ...stores, ...env }), pino({ level: 'silent' }));
const exp = () => Math.floor(Date.now() / 1000) + 600;
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const refused = (token: string, env: Record<string, string>) =>
  expect(auth(env).verify(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });

/** Signed with whatever the attacker has. */
function hmac(header: object, key: string | Buffer, claims: object = { sub: 'eve', exp: exp() }): string {
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}

const theirs = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ours = generateKeyPairSync('rsa', { modulusLength: 2048 });
const publicPem = ours.publicKey.export({ type: 'spki', format: 'pem' }).toString();
const theirPem = theirs.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

describe('a token that says which key it should be checked with', () => {
  test.each([
    ['../../../../dev/null', ''],
    ['/dev/null', '\0'],
    ["x' UNION SELECT 'known'; --", 'known'],
    ['', ''],
  ])('is not believed: kid %j', async (kid, key) => {
    await refused(hmac({ alg: 'HS256', kid }, key), { JWT_SECRET: secret });
  });

  test('gets the right key used whatever its kid is', async () => {
    const token = hmac({ alg: 'HS256', kid: '../../../../dev/null' }, secret, { sub: 'ada', exp: exp() });
    expect((await auth({ JWT_SECRET: secret }).verify(token)).userId).toBe('ada');
  });

  test.each(['jwk', 'jku', 'x5u', 'x5c'])('brings none along: %s', async (name) => {
    const value = {
      jwk: await exportJWK(theirs.publicKey),
      jku: 'http://127.0.0.1:1/keys',
      x5u: 'http://127.0.0.1:1/cert',
      x5c: ['AAAA'],
    }[name];
    const token = await new SignJWT({ sub: 'eve' })
      .setProtectedHeader({ alg: 'RS256', [name]: value })
      .setExpirationTime('1h')
      .sign(await importPKCS8(theirPem, 'RS256'));
    await refused(token, { JWT_PUBLIC_KEY: publicPem });
  });
});

describe('an algorithm', () => {
  test('for secrets does not take the public key for one, in any of its spellings', async () => {
    const der = ours.publicKey.export({ type: 'spki', format: 'der' });
    for (const key of [publicPem, publicPem.trim(), publicPem.replaceAll('\n', '\\n'), der]) {
      await refused(hmac({ alg: 'HS256' }, key), { JWT_PUBLIC_KEY: publicPem });
    }
  });

  test.each(['none', 'None', 'NONE', 'nOnE', '', 'HS384', 'RS256', null, 0, ['HS256']])(
    'has to be the one of the secret: %j is refused, signed or not',
    async (alg) => {
      await refused(hmac({ alg }, secret), { JWT_SECRET: secret });
      await refused(`${part({ alg })}.${part({ sub: 'eve', exp: exp() })}.`, { JWT_SECRET: secret });
    },
  );

  test('is not weakened by an extension that we do not know', async () => {
    await refused(hmac({ alg: 'HS256', crit: ['exp'], exp: 1 }, secret), { JWT_SECRET: secret });
    await refused(hmac({ alg: 'HS256', b64: false, crit: ['b64'] }, secret), { JWT_SECRET: secret });
  });

  test('of an empty or a cut signature is none', async () => {
    const good = hmac({ alg: 'HS256' }, secret);
    for (const token of [
      good.replace(/[^.]*$/, ''),
      good.slice(0, -4),
      `${good}AAAA`,
      `${good}.`,
      good.replace('.', '..'),
    ]) {
      await refused(token, { JWT_SECRET: secret });
    }
  });

  test('of the right key with a signature of all zeros is refused', async () => {
    const signed = `${part({ alg: 'ES256' })}.${part({ sub: 'eve', exp: exp() })}`;
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = ec.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    await refused(`${signed}.${Buffer.alloc(64).toString('base64url')}`, { JWT_PUBLIC_KEY: pem });
    const der = signBytes(
      'sha256',
      Buffer.from(signed),
      createPrivateKey(ec.privateKey.export({ type: 'pkcs8', format: 'pem' })),
    );
    // DER is what other formats use: a JWT has the two numbers bare.
    await refused(`${signed}.${der.toString('base64url')}`, { JWT_PUBLIC_KEY: pem });
  });
});

describe('a token that is not written as every library writes it', () => {
  const good = hmac({ alg: 'HS256' }, secret, { sub: 'ada', exp: exp() });
  const parts = good.split('.');
  const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  /** The same bytes to those who decode, with one bit more behind the last. */
  const stray = (text: string) => {
    const last = ALPHABET.indexOf(text.slice(-1));
    return `${text.slice(0, -1)}${ALPHABET[last ^ 1]}`;
  };
  const ways: [string, (part: string) => string][] = [
    ['padded', (text) => `${text}${'='.repeat((4 - (text.length % 4)) % 4 || 1)}`],
    ['padded too much', (text) => `${text}====`],
    ['with a space behind', (text) => `${text} `],
    ['with a space before', (text) => ` ${text}`],
    ['with a line break in it', (text) => `${text.slice(0, 4)}\n${text.slice(4)}`],
    ['with a tab', (text) => `${text}\t`],
    ['with a NUL', (text) => `${text}\0`],
    ['with a character of no alphabet', (text) => `${text.slice(0, 4)}!${text.slice(4)}`],
  ];
  const cases = parts.flatMap((_, at) => ways.map(([what, change]) => [what, at, change] as const));

  test.each(cases)('is refused, though it says the same: %s, in part %i', async (_what, at, change) => {
    await refused(parts.map((part, n) => (n === at ? change(part) : part)).join('.'), { JWT_SECRET: secret });
  });

  test('is refused with stray bits in its last character, where the bytes leave room for some', async () => {
    // 32 bytes of signature are 42 characters and two thirds.
    const changed = stray(parts[2] ?? '');
    expect(Buffer.from(changed, 'base64url')).toEqual(Buffer.from(parts[2] ?? '', 'base64url'));
    await refused([parts[0], parts[1], changed].join('.'), { JWT_SECRET: secret });
    for (const at of [0, 1]) {
      const whole = Buffer.from(parts[at] ?? '', 'base64url');
      // White space behind the JSON makes a part as long as is needed.
      for (const spaces of ['', ' ', '  ']) {
        const text = Buffer.concat([whole, Buffer.from(spaces)]).toString('base64url');
        if (text.length % 4 === 0) continue;
        const odd = [parts[0], parts[1]].map((part, n) => (n === at ? stray(text) : part)).join('.');
        const signature = createHmac('sha256', secret).update(odd).digest('base64url');
        await refused(`${odd}.${signature}`, { JWT_SECRET: secret });
      }
    }
  });

  test('is refused in the other alphabet of Base64', async () => {
    for (let n = 0; ; n++) {
      const token = hmac({ alg: 'HS256', n }, secret, { sub: 'ada', exp: exp() });
      if (!/[-_]/.test(token)) continue;
      await refused(token.replaceAll('-', '+').replaceAll('_', '/'), { JWT_SECRET: secret });
      return;
    }
  });

  test('is refused although the one it is made of was let in a moment ago', async () => {
    const one = auth({ JWT_SECRET: secret });
    expect((await one.verify(good)).userId).toBe('ada');
    for (const other of [`${good}=`, ` ${good}`, `${good}\n`]) {
      expect(one.recall(other)).toBeNull();
      await expect(one.verify(other)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    }
    expect(one.recall(good)?.userId).toBe('ada');
  });
});

test.each(['secret', 'password', '', 'x'.repeat(31), 'é'.repeat(15)])(
  'a weak secret is refused at start: %j',
  (weak) => {
    expect(() => readConfig({ ...stores, JWT_SECRET: weak })).toThrow(/JWT_SECRET/);
  },
);
