import { SignJWT } from 'jose';
import type { Figure, Scale } from '../measure/figure.ts';
import { startStack } from '../stack.ts';

const ROUNDS = 12;
const A_ROUND = 400;
/** By who they are to the one who asks; the first two have to take equally long. */
const NAMES = ['never came', 'hidden and active', 'hidden and away', 'open'];

/** Whether the time of an answer tells somebody who may not be seen from somebody who never came: ms, asked in turn. */
export const hiddenOrNever: Figure = {
  title: 'Whether the time of an answer tells the hidden from those who never came',
  seconds: { full: 45, quick: 30 },
  measure: async (scale) => ({ rows: [], tables: { 'ms from question to answer, by quantile': await ask(scale) } }),
};

async function ask(scale: Scale) {
  const stack = await startStack({ webs: 1 });
  const key = new TextEncoder().encode(stack.secret);
  const tokenOf = (userId: string, scope?: string) =>
    new SignJWT(scope ? { scope } : {})
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(userId)
      .setExpirationTime('1h')
      .sign(key);
  const host = await tokenOf('host', 'presence:write');
  const call = async (token: string, method: string, path: string, body?: object) => {
    const type = body ? { 'content-type': 'application/json' } : undefined;
    const answer = await fetch(new URL(path, stack.urls[0]), {
      method,
      headers: { authorization: `Bearer ${token}`, ...type },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.text();
  };
  const rows: Record<string, number>[] = [];
  try {
    await call(host, 'PUT', '/users/never', { displayName: 'Never' });
    for (const userId of ['hidden', 'away'])
      await call(host, 'PUT', `/users/${userId}/settings`, { visibility: 'nobody' });
    for (const userId of ['hidden', 'away', 'open'])
      await call(host, 'POST', '/users/status', { userId, status: 'active' });
    await call(host, 'POST', '/users/logout', { userId: 'away' });
    for (const query of ['', '?include=devices,detail']) {
      const tookMs = NAMES.map((): number[] => []);
      for (let round = 0; round < scale.pick(ROUNDS, 2); round++) {
        // A viewer a round: nobody asks more often than the limits allow.
        const viewer = await tokenOf(`viewer-${query.length}-${round}`);
        for (let n = 0; n < A_ROUND; n++) {
          const who = n % NAMES.length;
          const from = performance.now();
          await call(viewer, 'GET', `/users/${['never', 'hidden', 'away', 'open'][who]}/status${query}`);
          tookMs[who]?.push(performance.now() - from);
        }
      }
      const quantile = (sorted: number[], part: number) =>
        Number((sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(3));
      for (const part of [0.1, 0.5, 0.9]) {
        const of = tookMs.map(
          (each, n) =>
            [
              NAMES[n] ?? '',
              quantile(
                each.toSorted((a, b) => a - b),
                part,
              ),
            ] as const,
        );
        rows.push({ include: query === '' ? 0 : 1, quantile: part, ...Object.fromEntries(of) });
      }
    }
  } finally {
    await stack.stop();
  }
  return rows;
}
