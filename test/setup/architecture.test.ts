import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { OTHER_QUEUES } from '../../src/queues/jobs.ts';
import { createKeys } from '../../src/redis/keys.ts';

const page = readFileSync('docs/architecture.md', 'utf8');

/** The names in the first column of the table below a heading. */
function namesBelow(heading: string): string[] {
  const [, rest = ''] = page.split(`\n## ${heading}\n`);
  const [section = ''] = rest.split('\n## ');
  const cells = [...section.matchAll(/^\| (`.*?) \|/gm)].map(([, cell = '']) => cell);
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name));
}

test('the page lists every script, and none that is not there', () => {
  const files = readdirSync('src/redis/lua').filter((file) => !file.startsWith('lib'));
  expect(namesBelow('Scripts').sort()).toEqual(files.map((file) => file.replace('.lua', '')).sort());
});

test('the page lists every queue, and none that is not there', () => {
  const listed = namesBelow('Queues').filter((name) => !/^timeouts-\d/.test(name));
  expect(listed.sort()).toEqual(['timeouts', ...OTHER_QUEUES].sort());
});

/** A key by its name on the page: what stands for an id, a shard or the like there stands for itself here. */
const keyNames = (): string[] => {
  const keys = createKeys('', false);
  const made: Record<string, (key: (...args: never[]) => string) => string | string[]> = {
    wake: () => ['deliver', 'record'].map((group) => keys.wake(group as 'deliver', 0)),
    lease: () => ['deliver', 'record'].map((group) => keys.lease(group as 'deliver', 0)),
    limit: () => keys.limit('<limit>', '<whom>'),
    pushHost: () => keys.pushHost('<host>'),
    pushFlights: () => [keys.pushFlights('host', '<host>'), keys.pushFlights('user', '<user>')],
    room: () => (['users', 'closed', 'state'] as const).map((part) => keys.room(part, '<room>')),
    sweepLease: () => keys.sweepLease(0),
    stagedPrivacy: () => keys.stagedPrivacy(0, '<token>'),
    queuePrefix: () => `${keys.queuePrefix('<queue>')}:<queue>:…`,
    guard: () => createKeys('', true).guard(0),
    ...Object.fromEntries(['stem', 'tag', 'slotGroupOf'].map((name) => [name, () => []])),
  };
  const perUser = ['status', 'lastSeen', 'record', 'signedOut', 'privacy', 'doing', 'looks', 'looked', 'userRooms'];
  return Object.entries(keys).flatMap(([name, value]) => {
    const maker = made[name];
    if (maker) return maker(value as never);
    if (typeof value === 'string') return value;
    if (typeof value !== 'function') return [];
    const key = value as (argument: string | number) => string;
    return perUser.includes(name) ? key('<id>') : key(0);
  });
};

test('the page lists every key of Redis, and none that is not there', () => {
  const listed = namesBelow('Keys in Redis').flatMap((name) =>
    name.includes('<group>') ? ['deliver', 'record'].map((group) => name.replace('<group>', group)) : name,
  );
  const named = listed.map((name) => name.replace('s<n>', 's0'));
  expect(
    keyNames()
      .filter((key) => key !== '')
      .sort(),
  ).toEqual(named.sort());
});
