import { describe, expect, test } from 'vitest';
import { MOST_ATTEMPTS, OperatorLock } from '../../src/telemetry/operator.ts';

const basic = (login: string) => `Basic ${Buffer.from(login).toString('base64')}`;
const right = basic('ops:a:b c');
const wrong = basic('ops:guess');

const MINUTE_MS = 60_000;

/** A count that all processes share, as Redis keeps it. */
function sharedCount(clock = { now: 0 }) {
  const windows = new Map<string, { total: number; endsAt: number }>();
  return {
    reserve: async (_limit: string, whom: string, amount: number, windowMs: number) => {
      const known = windows.get(whom);
      const window = known && clock.now < known.endsAt ? known : { total: 0, endsAt: clock.now + windowMs };
      window.total += amount;
      windows.set(whom, window);
      return { total: window.total, leftMs: window.endsAt - clock.now };
    },
  };
}

/** A lock with a clock of the test's own, for whom slow turns are quick. */
function open({ most = 16, shared }: { most?: number; shared?: ConstructorParameters<typeof OperatorLock>[1] } = {}) {
  const clock = { now: 0 };
  const count = shared ?? sharedCount(clock);
  const lock = new OperatorLock({ user: 'ops', password: 'a:b c' }, count, () => clock.now, { everyMs: 1, most });
  const judge = async (login: string | undefined, from: string, connection: object = {}) =>
    (await lock.judge(login, from, connection)).kind;
  const guess = async (from: string) => {
    for (let n = 0; n < MOST_ATTEMPTS; n++) expect(await judge(wrong, from)).toBe('stranger');
  };
  return { lock, clock, judge, guess };
}

describe('the lock of the operator', () => {
  test('opens for the user and the password together, and for nothing else', async () => {
    const { judge } = open();
    expect(await judge(right, '192.0.2.1')).toBe('operator');
    for (const other of [
      undefined,
      '',
      'Basic',
      'Basic !',
      'Bearer x',
      basic(''),
      basic('ops:a'),
      basic('ops:a:b c '),
    ]) {
      expect(await judge(other, '192.0.2.1')).toBe('stranger');
    }
  });

  test('whoever has guessed too often waits for a minute, others don’t, and the right password passes all the same', async () => {
    const { judge, guess, clock, lock } = open();
    await guess('a');
    clock.now = 31_000;
    expect(await lock.judge(wrong, 'a', {})).toMatchObject({
      kind: 'too many attempts',
      error: { code: 'RATE_LIMITED', retryAfterMs: MINUTE_MS - 31_000 },
    });
    expect(await judge(right, 'a')).toBe('operator');
    expect(await judge(right, 'b')).toBe('operator');
    expect(await judge(wrong, 'b')).toBe('stranger');
    clock.now = MINUTE_MS;
    expect(await judge(wrong, 'a')).toBe('stranger');
  });

  test('no more guesses are looked at than there are turns, however many come at once', async () => {
    const { judge, guess } = open({ most: 4 });
    await guess('a');
    const at = (n: number) => judge(n >= 4 ? right : wrong, 'a');
    const verdicts = await Promise.all(Array.from({ length: 100 }, (_, n) => at(n)));
    // The right one too, where it finds no room to wait.
    expect(verdicts).toEqual(Array(100).fill('too many attempts'));
  });

  test('a connection that has shown the right password needs no turn, until a wrong one comes by it', async () => {
    const { judge, guess } = open({ most: 0 });
    const scraper = {};
    expect(await judge(right, 'a', scraper)).toBe('operator');
    await guess('a');
    expect(await judge(right, 'a')).toBe('too many attempts');
    for (let n = 0; n < 3; n++) expect(await judge(right, 'a', scraper)).toBe('operator');
    expect(await judge(wrong, 'a', scraper)).toBe('too many attempts');
    expect(await judge(right, 'a', scraper)).toBe('too many attempts');
  });

  test('asking without a password is no attempt and is answered at once; a right one in between forgives none', async () => {
    const { judge } = open({ most: 0 });
    for (let n = 0; n < 100; n++) expect(await judge(undefined, 'a')).toBe('stranger');
    for (let n = 0; n < MOST_ATTEMPTS; n++) {
      expect(await judge(right, 'a')).toBe('operator');
      expect(await judge(wrong, 'a')).toBe('stranger');
    }
    expect(await judge(right, 'a')).toBe('too many attempts');
    // A browser has to be asked before it can know the password.
    expect(await judge(undefined, 'a')).toBe('stranger');
  });

  test('the count is that of all processes; where it cannot be had, each has its own', async () => {
    const shared = sharedCount();
    const [one, other] = [open({ shared, most: 0 }), open({ shared, most: 0 })];
    for (let n = 0; n < 10; n++) expect(await one.judge(wrong, 'a')).toBe('stranger');
    let looked = 0;
    while ((await other.judge(wrong, 'a')) === 'stranger') looked++;
    expect(looked).toBe(10);
    const alone = open({ shared: { reserve: () => Promise.reject(new Error('Connection is closed')) }, most: 0 });
    await alone.guess('a');
    expect(await alone.judge(wrong, 'a')).toBe('too many attempts');
  });
});
