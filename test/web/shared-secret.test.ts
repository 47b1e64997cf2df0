import { createHmac, createSecretKey } from 'node:crypto';
import fc from 'fast-check';
import { type JWTVerifyOptions, jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import { verifyWithSecret } from '../../src/web/auth/shared-secret.ts';

const secret = createSecretKey('a secret of rather more than thirty-two bytes', 'utf8');
const start = 1_800_000_000;
const options: JWTVerifyOptions = {
  algorithms: ['HS256'],
  requiredClaims: ['sub', 'exp'],
  clockTolerance: 5,
  currentDate: new Date(start * 1000),
};

const time = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: start - 10, max: start + 10 }) },
  fc.constantFrom(0, -1, 1.5, start * 1000, '1800000060', null, true),
);
const name = fc.oneof(
  { weight: 5, arbitrary: fc.constant('alice') },
  fc.constantFrom('', 7, null, ['alice'], { sub: 'alice' }),
);
const claims = fc.record(
  { sub: name, exp: time, nbf: time, iat: time, iss: name, aud: fc.oneof(name, fc.array(name, { maxLength: 3 })) },
  { requiredKeys: ['sub', 'exp'] },
);
const payload = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ exp: time, nbf: time }, { requiredKeys: [] }).map((value) => JSON.stringify(value)),
  },
  { weight: 8, arbitrary: claims.map((value) => JSON.stringify(value)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('[]', 'null', '"text"', '7', '{', '', '{"sub":"alice","exp":1800000060}\u0000'),
  },
);
const header = fc.oneof(
  { weight: 4, arbitrary: fc.constant('{"alg":"HS256"}') },
  {
    weight: 3,
    arbitrary: fc
      .record(
        {
          alg: fc.constantFrom('HS256', 'HS512', 'none', 'hs256', 7),
          typ: fc.constantFrom('JWT', 'at+jwt', 7),
          kid: fc.constantFrom('one', 7),
          crit: fc.constantFrom(['b64'], ['exp'], []),
          b64: fc.boolean(),
          cty: fc.constant('JWT'),
        },
        { requiredKeys: ['alg'] },
      )
      .map((value) => JSON.stringify(value)),
  },
  { weight: 1, arbitrary: fc.constantFrom('{}', '[]', 'null', '{"alg":', '') },
);
const signature = fc.constantFrom('right', 'right', 'right', 'another key', 'cut', 'none', 'flipped');
const expectations = fc.constantFrom(
  {},
  { issuer: 'alice' },
  { audience: 'alice' },
  { issuer: 'bob', audience: 'bob' },
);

const base64url = (text: string | Buffer) => Buffer.from(text).toString('base64url');

function signed(header: string, payload: string, how: string): string {
  const text = `${base64url(header)}.${base64url(payload)}`;
  const right = createHmac('sha256', how === 'another key' ? 'another' : secret)
    .update(text)
    .digest();
  if (how === 'flipped') right[7] = (right[7] ?? 0) ^ 1;
  return `${text}.${base64url(how === 'none' ? '' : how === 'cut' ? right.subarray(0, 31) : right)}`;
}

interface Outcome {
  payload?: unknown;
  code?: string | undefined;
  claim?: string | undefined;
}

async function outcome(verify: () => unknown): Promise<Outcome> {
  try {
    return { payload: await verify() };
  } catch (error) {
    const { code, claim } = error as Outcome;
    return { code, claim };
  }
}

test('a token is taken, and refused with the same error, exactly where jose takes and refuses it', async () => {
  let [taken, left, refused] = [0, 0, 0];
  const property = fc.asyncProperty(header, payload, signature, expectations, async (head, body, how, expected) => {
    const token = signed(head, body, how);
    const all = { ...options, ...expected };
    const theirs = await outcome(async () => (await jwtVerify(token, secret, all)).payload);
    const ours = await outcome(() => verifyWithSecret(token, secret, all));
    if (ours.payload === null) {
      left++;
      // What is left to jose is left to it whole; nothing that is sound and signed is, or it would cost more.
      if (theirs.payload !== undefined) expect(head).toMatch(/"(cty|b64|crit)"/);
      return;
    }
    if (ours.payload === undefined) refused++;
    else taken++;
    expect(ours).toEqual(theirs);
  });
  await fc.assert(property, { numRuns: 3000 });
  expect(Math.min(taken, left, refused)).toBeGreaterThan(20);
});
