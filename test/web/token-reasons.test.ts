import { createHmac } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import type { RollcallError } from '../../src/errors.ts';
import { createAuthenticator } from '../../src/web/auth/auth.ts';
import { TOKEN_REFUSALS, type TokenRefusalReason } from '../../src/web/auth/token-refusals.ts';
import { openWorld, sign, type World } from './rest-world.ts';

const secret = 'a secret of rather more than thirty-two bytes';
const start = Date.parse('2027-01-30T12:00:00.000Z');
const now = start / 1000;
const exp = now + 60;
const DAY = 86_400;
const stores = { REDIS_URL: 'redis://127.0.0.1:1', DATABASE_URL: 'postgres://127.0.0.1:1/x' };
const part = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** Signed by hand, for what no honest library makes. */
function forge(claims: unknown, header: object = {}, key = secret): string {
  const signed = `${part({ alg: 'HS256', ...header })}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}

/** An authenticator, with what it counted and what it logged; its clock stands still. */
function door(env: Record<string, string> = { JWT_SECRET: secret }) {
  const counted: TokenRefusalReason[] = [];
  const lines: { level: number; reason: string; refused: number; msg: string }[] = [];
  const clock = { now: start };
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const auth = createAuthenticator(
    readConfig({ ...stores, ...env }),
    log,
    () => clock.now,
    (reason) => counted.push(reason),
  );
  const refusal = (token: string): Promise<RollcallError> =>
    auth.verify(token).then(
      () => expect.fail('The token was taken'),
      (error) => error,
    );
  return { auth, clock, counted, lines, refusal };
}

const REFUSED: [what: string, token: string, TokenRefusalReason][] = [
  ['none', '', 'missing'],
  ['one of 16,385 characters', 'x'.repeat(16_385), 'too_long'],
  ['a word', 'hello', 'malformed'],
  ['three words', 'a.b.c', 'malformed'],
  ['one with the word Bearer before it', `Bearer ${forge({ sub: 'ann', exp })}`, 'malformed'],
  ['one whose claims are no JSON', forge('hello'), 'malformed'],
  ['one with an extension that nobody here knows', forge({ sub: 'ann', exp }, { crit: ['x'], x: 1 }), 'unsupported'],
  ['an unsigned one', forge({ sub: 'ann', exp }, { alg: 'none' }), 'algorithm'],
  ['one of another algorithm', forge({ sub: 'ann', exp }, { alg: 'HS512' }), 'algorithm'],
  ['one signed with another secret', forge({ sub: 'ann', exp }, {}, secret.toUpperCase()), 'wrong_key'],
  ['one without a sub', forge({ exp }), 'sub_missing'],
  ['one whose sub is no user id', forge({ sub: 'a n n', exp }), 'sub_invalid'],
  ['one whose sub is a number', forge({ sub: 42, exp }), 'sub_invalid'],
  ['one whose rooms are no list', forge({ sub: 'ann', exp, rooms: 'doc:1' }), 'rooms_invalid'],
  ['one without an exp', forge({ sub: 'ann' }), 'exp_missing'],
  ['one whose exp is a text', forge({ sub: 'ann', exp: `${exp}` }), 'exp_missing'],
  ['one whose exp is in milliseconds', forge({ sub: 'ann', exp: exp * 1000 }), 'exp_in_milliseconds'],
  ['one of years ago in milliseconds', forge({ sub: 'ann', exp: (exp - 3000 * DAY) * 1000 }), 'exp_in_milliseconds'],
  ['one whose exp is in microseconds', forge({ sub: 'ann', exp: exp * 1e6 }), 'exp_too_far'],
  ['one that lasts for 366 days', forge({ sub: 'ann', exp: now + 366 * DAY }), 'exp_too_far'],
  ['one that lasts for ever', forge('{"sub":"ann","exp":1e400}'), 'exp_too_far'],
  ['one that begins in a minute', forge({ sub: 'ann', exp: exp + 60, nbf: exp }), 'not_yet_valid'],
  ['one that begins on a text', forge({ sub: 'ann', exp, nbf: 'now' }), 'not_a_time'],
  ['one that was made on a text', forge({ sub: 'ann', exp, iat: 'now' }), 'not_a_time'],
  ['one that is over', forge({ sub: 'ann', exp: now - 10 }), 'expired'],
  ['one that was over before 1970', forge('{"sub":"ann","exp":-1e400}'), 'expired'],
];

describe('a token that is refused', () => {
  test.each(REFUSED)('says why, and is counted for it: %s', async (_what, token, reason) => {
    const { refusal, counted, lines } = door();
    const { code, message } = TOKEN_REFUSALS[reason];
    expect(await refusal(token)).toMatchObject({ name: 'RollcallError', code, message, reason });
    expect(counted).toEqual([reason]);
    expect(lines).toMatchObject([{ reason, refused: 1, msg: `Tokens are refused: ${message}` }]);
  });

  test('of another issuer or audience says which of them it was', async () => {
    const { refusal } = door({ JWT_SECRET: secret, JWT_ISSUER: 'https://id.example', JWT_AUDIENCE: 'rollcall' });
    const fits = { sub: 'ann', exp, iss: 'https://id.example', aud: 'rollcall' };
    for (const iss of ['https://evil.example', undefined]) {
      expect(await refusal(forge({ ...fits, iss }))).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'wrong_issuer' });
    }
    for (const aud of ['other', undefined]) {
      expect(await refusal(forge({ ...fits, aud }))).toMatchObject({
        code: 'UNAUTHENTICATED',
        reason: 'wrong_audience',
      });
    }
  });

  test('tells a forger nothing of its claims, only that its signature does not fit', async () => {
    const { refusal } = door();
    for (const claims of [{}, { sub: 'ann' }, { sub: 'ann', exp: now - 10 }, { sub: 'a n n', exp: exp * 1000 }]) {
      expect(await refusal(forge(claims, {}, 'the key of somebody else entirely'))).toMatchObject({
        reason: 'wrong_key',
      });
    }
  });

  test('is nowhere in the answer or the log, and neither is the key', async () => {
    const { refusal, lines } = door();
    const told: string[] = [];
    for (const [, token] of REFUSED) told.push((await refusal(token)).message);
    const all = told.join('\n') + JSON.stringify(lines);
    const pieces = REFUSED.flatMap(([, token]) => token.split(/[. ]/)).filter((piece) => piece.length > 10);
    expect(pieces.length).toBeGreaterThan(40);
    for (const piece of [...pieces, secret, 'ann']) expect(all).not.toContain(piece);
  });
});

test('every reason is met by one of these tests', () => {
  const elsewhere: TokenRefusalReason[] = ['wrong_issuer', 'wrong_audience', 'unknown_key'];
  const met = new Set([...REFUSED.map(([, , reason]) => reason), ...elsewhere]);
  expect([...met].sort()).toEqual(Object.keys(TOKEN_REFUSALS).sort());
});

describe('a token of a year', () => {
  test.each([
    ['365 days', now + 365 * DAY],
    ['what libraries call a year, made by a clock that is 5 s ahead', now + 365.25 * DAY + 5],
  ])('is taken: %s', async (_what, end) => {
    const { auth } = door();
    expect((await auth.verify(forge({ sub: 'ann', exp: end }))).expiresAt).toBe(end * 1000);
  });

  test('is taken until the same day next year, also over a leap day', async () => {
    const { auth, clock, refusal } = door();
    clock.now = Date.parse('2027-06-15T12:00:00.000Z');
    const end = Date.parse('2028-06-15T12:00:00.000Z') / 1000;
    expect((await auth.verify(forge({ sub: 'ann', exp: end }))).expiresAt).toBe(end * 1000);
    expect(await refusal(forge({ sub: 'ann', exp: end + 10 }))).toMatchObject({ reason: 'exp_too_far' });
  });
});

test('a reason is logged once a minute, with how many were refused for it, and each reason by itself', async () => {
  const { refusal, clock, counted, lines } = door();
  const [wrong, over] = [forge({ sub: 'ann', exp }, {}, 'x'.repeat(32)), forge({ sub: 'ann', exp: now - 10 })];
  for (let n = 0; n < 5; n++) await refusal(wrong);
  await refusal(over);
  clock.now += 59_999;
  await refusal(wrong);
  expect(lines).toMatchObject([
    { level: 40, reason: 'wrong_key', refused: 1 },
    // Everyday, and no fault of a setting.
    { level: 30, reason: 'expired', refused: 1 },
  ]);
  clock.now += 1;
  await refusal(wrong);
  expect(lines.slice(2)).toMatchObject([{ level: 40, reason: 'wrong_key', refused: 6 }]);
  expect(counted).toHaveLength(8);
});

describe('over HTTP', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world.app.close());
  const ask = (token: string) => world.ask({ token }, { url: '/users/ada/status' });

  test('the answer says it in its message, and in the way of RFC 6750', async () => {
    const answer = await ask(await sign({ sub: 'ada' }, Math.floor(Date.now() / 1000) + 900 * DAY));
    const { message } = TOKEN_REFUSALS.exp_too_far;
    expect(answer.json()).toEqual({ statusCode: 401, code: 'UNAUTHENTICATED', error: 'Unauthorized', message });
    expect(answer.headers['www-authenticate']).toBe(`Bearer error="invalid_token", error_description="${message}"`);
    const over = await ask(await sign({ sub: 'ada' }, 1));
    expect(over.json()).toMatchObject({ code: 'TOKEN_EXPIRED' });
    expect(over.headers['www-authenticate']).toContain('error="invalid_token"');
    const none = await world.ask(null, { url: '/users/ada/status' });
    expect(none.json()).toMatchObject({ code: 'UNAUTHENTICATED', message: TOKEN_REFUSALS.missing.message });
    expect(none.headers['www-authenticate']).toBe('Bearer');
  });

  test('no reason has a letter in it that a header could not carry', () => {
    for (const { message } of Object.values(TOKEN_REFUSALS))
      expect(message).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
  });

  test('a token of more than 16,384 characters is too large, and not merely bad', async () => {
    const answer = await ask('x'.repeat(16_385));
    expect(answer.json()).toEqual({
      statusCode: 413,
      code: 'PAYLOAD_TOO_LARGE',
      error: 'Payload Too Large',
      message: TOKEN_REFUSALS.too_long.message,
    });
  });
});
