import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BuiltClient, buildClient, MOST_KIB } from '../../scripts/build-client.ts';
import { TestClient } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';
import { Chromium } from './chromium.ts';
import { Site } from './site.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** What the example takes from its own surroundings. */
const NEEDS = ['react', 'react-dom', '@types/react', '@types/react-dom', 'socket.io-client'];

let folder: string;
let example: string;
let built: BuiltClient;

/** A project of somebody else, with the built package in its node_modules and the example of the docs as its page. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rollcall-test-example-'));
  const modules = join(folder, 'node_modules');
  await mkdir(join(modules, '@types'), { recursive: true });
  for (const name of NEEDS) await symlink(join(root, 'node_modules', name), join(modules, name));
  built = await buildClient(join(modules, 'rollcall'));
  const docs = await readFile(join(root, 'docs/client.md'), 'utf8');
  example = /```tsx\n(.*?)```/s.exec(docs)?.[1] ?? '';
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(join(folder, 'example.tsx'), example);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('the client is under 6.5 KB, gzipped, the hooks under 1 KB, and the part for backends under 8 KB', () => {
  for (const [entry, most] of Object.entries(MOST_KIB)) {
    expect(built.bytes[entry as keyof typeof MOST_KIB], entry).toBeLessThanOrEqual(most * 1024);
  }
});

test('nothing of the server is in the package, neither in its code nor in its types', async () => {
  for (const name of [
    'client.js',
    'react.js',
    'social.js',
    'social.d.ts',
    'rooms.js',
    'rooms.d.ts',
    'react-rooms.d.ts',
    'server.js',
    'client.d.ts',
    'presence-client.d.ts',
    'server/index.d.ts',
  ]) {
    const text = await readFile(join(built.folder, name), 'utf8');
    expect(text).not.toMatch(/zod|protocol\/|ioredis|fastify/);
  }
});

test('the example in docs/client.md has ten lines of code or fewer beside its imports', () => {
  const lines = example.split('\n').filter((line) => line.trim() !== '' && !/^import /.test(line));
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.length).toBeLessThanOrEqual(10);
});

test('the example compiles against the package, as strictly as can be', async () => {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const flags = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--jsx', 'react-jsx', '--module', 'nodenext'];
  const args = [tsc, '--ignoreConfig', ...flags, '--lib', 'esnext,dom', '--types', '', 'example.tsx'];
  const run = promisify(execFile)(process.execPath, args, { cwd: folder }).catch((error) => error);
  expect((await run).stdout).toBe('');
});

test('the example runs: Ada comes and goes on the page', async () => {
  const deployment = await Deployment.start('browser-example', { env: { ...CALM, CORS_ORIGINS: '*' } });
  await writeFile(join(folder, 'example.tsx'), example.replace('https://presence.example.com', deployment.url));
  const [site, browser] = await Promise.all([Site.build([join(folder, 'example.tsx')]), Chromium.start()]);
  try {
    const page = await browser.open(site.page('example'));
    const shows = (pattern: RegExp) =>
      eventually(
        () => page.locator('body').textContent(),
        (text) => pattern.test(text ?? ''),
        15_000,
      );
    await shows(/ada/);
    const ada = await TestClient.connect(deployment.url, 'ada');
    await shows(/ada is here/);
    ada.leave();
    await shows(/ada is away, last seen now/);
    expect(browser.complaints).toEqual([]);
  } finally {
    await Promise.all([browser.close(), site.close()]);
    await deployment.stop();
  }
});
