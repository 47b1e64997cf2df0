import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../scripts/embedded/server-process.ts';
import { RUNBOOK } from '../../src/usecases/runbook.ts';

const contents = (folder: string) => {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map(({ name, parentPath }) => [
      join(parentPath.slice(folder.length), name),
      readFileSync(join(parentPath, name), 'utf8'),
    ]),
  );
};

test('the console that is served is the one whose sources are here (else: npm run console)', async () => {
  const built = await temporaryFolder('console');
  // A process of its own: the page is for production, whatever this process is.
  await promisify(execFile)(process.execPath, ['scripts/build-console.ts', built.path]);
  const [served, made] = [contents(join('src', 'console', 'built')), contents(built.path)];
  await built.remove();
  expect(Object.keys(served).sort()).toEqual(Object.keys(made).sort());
  for (const [name, text] of Object.entries(made)) expect(served[name] === text, name).toBe(true);
});

test('what the page has of others is served with their licence', () => {
  const bundle = readFileSync('src/console/built/admin/console.js', 'utf8');
  const licence = readFileSync('node_modules/react/LICENSE', 'utf8').trim();
  expect(bundle.startsWith('/*!\nreact, react-dom, scheduler:')).toBe(true);
  expect(bundle.slice(0, 3000)).toContain(licence);
});

test('what the console says of something wrong is what the runbook says of it first', () => {
  const book = readFileSync('docs/operations.md', 'utf8');
  for (const [alert, advice] of Object.entries(RUNBOOK)) {
    const [, part = ''] = book.split(`### ${alert}\n`);
    expect(part.trim().replaceAll(/\s+/g, ' ').startsWith(advice), `${alert}: ${part.slice(0, 200)}`).toBe(true);
  }
});
