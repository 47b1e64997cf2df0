import { expect, test } from 'vitest';
import { judgeServer } from '../../src/redis/inspection.ts';

const SOUND = {
  redis_version: '7.0.15',
  redis_mode: 'standalone',
  role: 'master',
  maxmemory_policy: 'noeviction',
  aof_enabled: '1',
};
const judged = (told: Record<string, string> = {}, { cluster = false, save = '' as string | null } = {}) =>
  judgeServer({ info: new Map(Object.entries({ ...SOUND, ...told })), save }, cluster).map(
    ({ kind, weight }) => `${weight} ${kind}`,
  );

test('a server that is as it should be is not spoken of', () => {
  expect(judged()).toEqual([]);
  expect(judged({ redis_version: '6.2.0', aof_enabled: '0' }, { save: '3600 1' })).toEqual([]);
  expect(judged({ redis_mode: 'cluster' }, { cluster: true })).toEqual([]);
  expect(judged({ redis_version: '10.1.0' })).toEqual([]);
});

test('a version that is too old is refused, whatever else is right', () => {
  for (const redis_version of ['6.0.16', '5.0.7', '2.8']) expect(judged({ redis_version })).toEqual(['refuse version']);
});

test('what would lose data in silence or can never work is a warning', () => {
  expect(judged({ maxmemory_policy: 'allkeys-lru' })).toEqual(['warn policy']);
  expect(judged({ aof_enabled: '0' })).toEqual(['warn persistence']);
  expect(judged({ role: 'slave' })).toEqual(['warn replica']);
  expect(judged({ redis_mode: 'cluster' })).toEqual(['warn cluster']);
  expect(judged({ redis_mode: 'sentinel', maxmemory_policy: '' })).toEqual(['warn sentinel']);
});

test('a server that may not be asked is no worse: of its persistence nothing is claimed, and of all one line is said', () => {
  expect(judged({ aof_enabled: '0' }, { save: null })).toEqual([]);
  expect(judgeServer({ info: null, save: null }, false).map(({ weight }) => weight)).toEqual(['info']);
});
