import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { PER_TEN_SECONDS } from '../../src/web/limits/limits.ts';

const text = readFileSync(new URL('../../SECURITY.md', import.meta.url), 'utf8');

test('every test that SECURITY.md names exists, and every threat names one', () => {
  const named = [...text.matchAll(/`(test\/[\w/.-]+)`/g)].map(([, file = '']) => file);
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter((file) => !existsSync(new URL(`../../${file}`, import.meta.url)))).toEqual([]);
  const threats = text.split('| attacker |')[1]?.split('\n\n')[0]?.split('\n').slice(2) ?? [];
  expect(threats.length).toBeGreaterThan(20);
  expect(threats.filter((row) => !/`test\/[^`]+\.test\.ts` \|$/.test(row))).toEqual([]);
});

test('the limits that SECURITY.md tells of are those that hold', () => {
  const { maxConnections, maxConnectsPerIpPerSecond, maxRequestsPerIpPerSecond } = readConfig({
    REDIS_URL: 'redis://127.0.0.1',
    DATABASE_URL: 'postgres://127.0.0.1/x',
    JWT_SECRET: 'a secret of rather more than thirty-two bytes',
  });
  const amounts = [
    ...Object.values(PER_TEN_SECONDS),
    maxConnections,
    maxConnectsPerIpPerSecond * 10,
    maxRequestsPerIpPerSecond * 10,
  ];
  const table = text.split('| what | for whom |')[1]?.split('\n\n')[0] ?? '';
  for (const amount of amounts) expect(table).toMatch(new RegExp(`\\b${amount.toLocaleString('en-US')}\\b`));
});
