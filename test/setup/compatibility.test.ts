import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { CROSSINGS } from '../../scripts/crossings/list.ts';

const rowsOf = (guide: string) =>
  [...guide.matchAll(/^\| `([^`]+)` \| (.+?) \| (\d*) \| (\d*) \|$/gm)].map(
    ([, name, versions = '', passed, failed]) => ({
      name,
      versions,
      passed: Number(passed),
      failed: Number(failed),
    }),
  );

test('each crossing stands in the compatibility page as it was run, and none of them failed', async () => {
  const rows = rowsOf(await readFile('docs/compatibility.md', 'utf8'));
  expect(rows.map(({ name }) => name)).toEqual(CROSSINGS.map(({ name }) => name));
  expect(
    rows.filter(({ versions, passed, failed }) => failed > 0 || (passed === 0 && !/^left out: ./.test(versions))),
  ).toEqual([]);
});

test('the README claims the versions that were run, from the oldest to the newest', async () => {
  const ran = rowsOf(await readFile('docs/compatibility.md', 'utf8')).filter(({ passed }) => passed > 0);
  const versions = (name: string) =>
    [...new Set(ran.flatMap((row) => new RegExp(`${name} (\\d+(?:\\.\\d+)?)`).exec(row.versions)?.[1] ?? []))].map(
      Number,
    );
  const readme = await readFile('README.md', 'utf8');
  const [, from, to, valkeyFrom, valkeyTo] = /Redis (\d+\.\d) to (\d+) \(or Valkey (\d+) or (\d+)\)/.exec(readme) ?? [];
  const redis = versions('Redis');
  expect([Math.min(...redis), Math.floor(Math.max(...redis))]).toEqual([Number(from), Number(to)]);
  expect([...new Set(versions('Valkey').map(Math.floor))].sort()).toEqual([Number(valkeyFrom), Number(valkeyTo)]);
  const [, oldest = '', newest = ''] = /PostgreSQL (\d+) to (\d+)/.exec(readme) ?? [];
  const claimed = Array.from({ length: Number(newest) - Number(oldest) + 1 }, (_, n) => Number(oldest) + n);
  expect([...new Set(versions('PostgreSQL').map(Math.floor))].sort()).toEqual(claimed);
});
