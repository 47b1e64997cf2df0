import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { VISIBILITIES } from '../../src/presence/visibility.ts';
import { CODE_OF, visibilityOf } from '../../src/redis/privacy.ts';
import { TARGETS } from './rules.ts';

/** What the scripts know of how strict a setting is, by its letter. */
function strictness(): Record<string, number> {
  const [, table = ''] =
    /^ *local STRICTNESS = \{(.*)\}$/m.exec(readFileSync('src/redis/lua/lib-budget.lua', 'utf8')) ?? [];
  return Object.fromEntries([...table.matchAll(/(\w+) = (\d+)/g)].map(([, letter = '', n]) => [letter, Number(n)]));
}

test('a setting that hides more is stricter for the scripts too, whatever settings there are', () => {
  expect(strictness()).toEqual(Object.fromEntries(VISIBILITIES.map((each, n) => [CODE_OF[each], n])));
});

test('what a user allowed is read from Redis as it was written', () => {
  expect(VISIBILITIES.map((each) => visibilityOf(CODE_OF[each]))).toEqual([...VISIBILITIES]);
  expect(visibilityOf('o')).toBe('nobody');
});

test('every setting is judged at every door', () => {
  expect(new Set(TARGETS.map(({ visibility }) => visibility))).toEqual(new Set(VISIBILITIES));
});
