import { describe, expect, test } from 'vitest';
import { MOST_ATTEMPTS, OperatorLock } from '../src/operator.ts';

const basic = (login: string) => `Basic ${Buffer.from(login).toString('base64')}`;
const right = basic('ops:a:b c');
const wrong = basic('ops:guess');
const open = () => new OperatorLock({ user: 'ops', password: 'a:b c' });

describe('the lock of the operator', () => {
  test('opens for the user and the password together, and for nothing else', () => {
    const lock = open();
    expect(lock.judge(right, '192.0.2.1')).toEqual({ kind: 'operator' });
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
      expect(lock.judge(other, '192.0.2.1')).toEqual({ kind: 'stranger' });
    }
  });

  test('whoever has guessed too often waits, even with the right password; others don’t', () => {
    const lock = open();
    for (let n = 0; n < MOST_ATTEMPTS; n++) expect(lock.judge(wrong, 'a', 1000 + n).kind).toBe('stranger');
    for (const guess of [wrong, right, undefined]) {
      expect(lock.judge(guess, 'a', 31_000)).toEqual({ kind: 'too many attempts', retryAfterMs: 30_000 });
    }
    expect(lock.judge(right, 'b', 31_000)).toEqual({ kind: 'operator' });
    expect(lock.judge(right, 'a', 61_000)).toEqual({ kind: 'operator' });
    expect(lock.judge(wrong, 'a', 61_001)).toEqual({ kind: 'stranger' });
  });

  test('asking without a password is no attempt, and a right one in between forgives none', () => {
    const lock = open();
    for (let n = 0; n < 100; n++) lock.judge(undefined, 'a', 0);
    for (let n = 0; n < MOST_ATTEMPTS; n++) {
      expect(lock.judge(right, 'a', 0).kind).toBe('operator');
      lock.judge(wrong, 'a', 0);
    }
    expect(lock.judge(right, 'a', 0).kind).toBe('too many attempts');
  });
});
