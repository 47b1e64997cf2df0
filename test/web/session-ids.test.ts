import { expect, test } from 'vitest';
import { anonymousSession, deviceSession } from '../../src/usecases/session-ids.ts';

test('each session without a device has a name of its own, however many come in one moment', () => {
  const ids = Array.from({ length: 10_000 }, () => anonymousSession());
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.filter((id) => !/^a[\w-]{21}$/.test(id))).toEqual([]);
  // Nor does any part of them come again.
  expect(new Set(ids.map((id) => id.slice(1, 9))).size).toBe(ids.length);
});

test('a device has the same session for good, and no other device or user has it', () => {
  const id = deviceSession('ann', 'laptop');
  expect(deviceSession('ann', 'laptop')).toBe(id);
  expect(id).toBe('dChTHXs7nM8pszNgn_Y1wZ');
  expect([deviceSession('ann', 'phone'), deviceSession('bob', 'laptop')]).not.toContain(id);
});
