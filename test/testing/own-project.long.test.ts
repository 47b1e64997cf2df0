import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildClient } from '../../scripts/build-client.ts';
import { installNpmPrograms } from '../../scripts/embedded/npm-programs.ts';
import { run } from '../../scripts/embedded/programs.ts';
import { eventually } from '../support/eventually.ts';
import { Blocks, blocksOf } from '../support/page-blocks.ts';
import { runningWith } from '../support/processes.ts';
import { temporaryRoom } from '../support/temporary.ts';

const root = process.cwd();
const blocks = new Blocks('docs/testing.md');
/** What the page says to install and is installed here, beside what stands in test/testers. */
const OWN = ['vite', '@vitejs/plugin-react'];

let room: Awaited<ReturnType<typeof temporaryRoom>>;
/** A project of somebody else, with the package installed from its tarball, beside a folder of Rollcall's. */
let project: string;

beforeAll(async () => {
  room = await temporaryRoom('own-project');
  project = join(room.path, 'app');
  for (const folder of [project, join(room.path, 'tmp')]) await mkdir(folder);
  await symlink(root, join(room.path, 'rollcall'));
  await writeFile(join(project, 'package.json'), '{ "name": "theirs", "private": true, "type": "module" }');
  const { folder } = await buildClient(join(room.path, 'built'));
  const packed = await done('npm', ['pack', folder, '--json', '--pack-destination', room.path]);
  const [tarball] = Object.values<{ filename: string }>(JSON.parse(packed));
  await done('npm', ['install', '--no-audit', '--no-fund', join(room.path, tarball?.filename ?? '')]);
  const testers = await installNpmPrograms('test/testers');
  const names = (await readdir(testers)).filter((name) => !name.startsWith('.'));
  for (const name of names) await link(join(testers, name), name);
  for (const name of OWN) await link(join(root, 'node_modules', name), name);
  // Copied, for it looks for jsdom beside where it really is.
  const vitest = join(project, 'node_modules/vitest');
  await cp(join(root, 'node_modules/vitest'), vitest, { recursive: true });
  const { dependencies } = JSON.parse(await readFile(join(vitest, 'package.json'), 'utf8'));
  for (const name of Object.keys(dependencies)) await link(join(root, 'node_modules', name), name);
  await symlink('../jest/bin/jest.js', join(project, 'node_modules/.bin/jest'));
  await symlink('../vitest/vitest.mjs', join(project, 'node_modules/.bin/vitest'));
  await write(
    'vite.config.mjs',
    blocksOf('docs/quickstart.md').find(({ file }) => file === 'vite.config.mjs')?.text ?? '',
  );
  for (const file of ['friend.jsx', 'friend.test.jsx', 'jest.config.js', 'friend.jest.jsx', 'presence.test.js'])
    await write(file, blocks.take(file));
}, 300_000);
afterAll(() => room?.remove());

const link = async (from: string, name: string) => {
  const to = join(project, 'node_modules', name);
  await mkdir(dirname(to), { recursive: true });
  await symlink(from, to).catch(() => {});
};
const write = (file: string, text: string) => writeFile(join(project, file), text);

function environment(more: Record<string, string> = {}): Record<string, string> {
  const PATH = [dirname(process.execPath), process.env.PATH].join(':');
  // An application's own, which no service of a test may touch.
  const theirs = { DATABASE_URL: 'postgres://127.0.0.1:1/theirs', REDIS_URL: 'redis://127.0.0.1:1' };
  const quiet = { npm_config_update_notifier: 'false', NO_COLOR: '1', CI: '1' };
  return { PATH, HOME: room.path, TMPDIR: join(room.path, 'tmp'), ...quiet, ...theirs, ...more };
}

async function done(command: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  const { ok, output } = await run(command, args, { cwd: project, env: environment(env) });
  expect(ok, output).toBe(true);
  return output;
}
const shell = (text: string, env: Record<string, string> = {}) => done('sh', ['-ec', text], env);

async function nothingIsLeft(): Promise<void> {
  const left = async () => [await runningWith(join(room.path, 'tmp')), await readdir(join(room.path, 'tmp'))];
  await eventually(
    left,
    ([processes = [], files = []]) => {
      const stores = files.filter((name) => String(name).startsWith('rollcall-'));
      return processes.length === 0 && stores.length === 0;
    },
    20_000,
  );
}

test('what the page says to install is what the project has', async () => {
  const packages = blocks.take('npm install --save-dev vitest jsdom').trim().split(' ').slice(3);
  expect(packages).toContain('jsdom');
  for (const name of packages) await readFile(join(project, 'node_modules', name, 'package.json'));
});

test('a component is tested with the fake in Vitest, in StrictMode and jsdom', async () => {
  expect(await shell(blocks.take('npx vitest run friend.test.jsx'))).toMatch(/4 passed/);
});

test('and in Jest, which ends by itself', async () => {
  const said = await shell(blocks.take('--experimental-vm-modules'));
  expect(said).toMatch(/1 passed/);
  expect(said).not.toMatch(/not wrapped in act|did not exit|open handle/);
});

test('an application is tested with the real service, of which nothing is left', async () => {
  expect(await shell('npx vitest run presence.test.js')).toMatch(/1 passed/);
  await nothingIsLeft();
});

/** A line with `npx rollcall …` that goes on until it is stopped, without npx, which has exit codes of its own. */
function goesOn(line: string, env: Record<string, string> = {}) {
  const [, name = '', ...args] = line.trim().split(/\s+/);
  const child = spawn(join(project, 'node_modules/.bin', name), args, {
    cwd: project,
    env: environment(env),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (text) => lines.push(text));
  return { child, lines, exited: once(child, 'exit') };
}

/** `rollcall dev` of the page, on any free port; with what it printed. */
async function dev() {
  const line = blocksOf('docs/testing.md').find(({ text }) => text.startsWith('npx rollcall dev'))?.text ?? '';
  const { child, lines, exited } = goesOn(line.replace('--port 3000', '--port 0 --json'));
  await eventually(
    () => lines.length,
    (count) => count > 0 || child.exitCode !== null,
    90_000,
  );
  return { child, said: JSON.parse(lines[0] ?? ''), exited };
}

test('the command starts a service, asks it all that the page says, and leaves nothing at Ctrl-C', async () => {
  blocks.take('npx rollcall dev');
  const { child, said, exited } = await dev();
  expect(Object.keys(said.tokens)).toEqual(['ada', 'grace']);
  const env = { ROLLCALL_URL: said.url, JWT_SECRET: said.secret };
  const says = (status: string) =>
    fetch(`${said.url}/users/status`, {
      method: 'POST',
      headers: { authorization: `Bearer ${said.tokens.ada}`, 'content-type': 'application/json' },
      body: JSON.stringify({ status }),
    });
  await says('active');
  const lines = blocks.take('export ROLLCALL_URL').trim().split('\n').slice(1);
  expect(lines.length).toBeGreaterThan(6);
  for (const line of lines) {
    const [words = ''] = line.split(' #');
    if (/ (tail|watch)\b/.test(words)) {
      const { child: follower, lines: told, exited: ended } = goesOn(words, env);
      await eventually(
        async () => {
          if (/tail/.test(words)) for (const status of ['inactive', 'active']) await says(status);
          return told.join('\n');
        },
        (text) => text.includes('ada is'),
        20_000,
      );
      follower.kill('SIGINT');
      expect(await ended).toEqual([0, null]);
      continue;
    }
    const { output, ok } = await run('sh', ['-c', words], { cwd: project, env: environment(env) });
    expect(ok, `${words}: ${output}`).toBe(true);
  }
  expect(await shell('npx rollcall why ada', env)).toMatch(/ada is offline.*signed out/s);
  child.kill('SIGINT');
  expect(await exited).toEqual([0, null]);
  await nothingIsLeft();
});

test('nor does it after kill -9 of npx, which passes nothing on; what it leaves out of a file of settings it names', async () => {
  const secret = 'of-their-own-and-long-enough-for-a-secret';
  const settings = `JWT_SECRET=${secret}\nWEBHOOK_URL=http://127.0.0.1:9/\nTHEIRS=1\nREDIS_URL=redis://127.0.0.1:9\n`;
  await writeFile(join(project, '.env'), settings);
  const args = ['rollcall', 'dev', '--port', '0', '--json'];
  const child = spawn('npx', args, { cwd: project, env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
  let noted = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    noted += text;
  });
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  expect(JSON.parse(line).secret).toBe(secret);
  expect(noted).toMatch(/left out.*: WEBHOOK_URL$/m);
  child.kill('SIGKILL');
  await nothingIsLeft();
  await rm(join(project, '.env'));
});

test('its types hold as strictly as can be, of no runtime', async () => {
  await write(
    'uses.ts',
    `import type { PresenceClient } from 'rollcall/client';
import { type Room, type RoomView, withRooms } from 'rollcall/client/rooms';
import { usePresenceRoom, useRoomCount } from 'rollcall/react/rooms';
import { createFakePresence, type FakeUser, startRollcall, type TestRollcall } from 'rollcall/testing';
const away: FakeUser = { status: 'inactive', lastSeen: new Date(0), detail: { text: 'Gone' } };
export const fake = createFakePresence({ userId: 'me', users: { ada: away }, now: '2026-01-01' });
export const client: PresenceClient = fake;
export const room: Room = withRooms(fake).room('doc:1', { data: { page: 1 } });
export const page = (view: RoomView) => view.me?.data?.page ?? view.count ?? view.error?.code;
export const useBoth = () => [usePresenceRoom('doc:1').users[0]?.since, useRoomCount('doc:1')];
export const start = (): Promise<TestRollcall> => startRollcall({ settings: { AUDIENCE: 'watchers' } });
export const token = async () => (await start()).tokenFor('ada', { name: 'Ada' });
// @ts-expect-error: no such status
fake.set('ada', { status: 'away' });
`,
  );
  const strict = [
    '--noEmit',
    '--strict',
    '--exactOptionalPropertyTypes',
    '--noUncheckedIndexedAccess',
    '--skipLibCheck',
    'false',
  ];
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const lib = ['--target', 'es2022', '--module', 'nodenext', '--lib', 'es2022,dom,dom.iterable', '--types', ''];
  const { output } = await run(process.execPath, [tsc, '--ignoreConfig', ...strict, ...lib, 'uses.ts'], {
    cwd: project,
  });
  // Types of others' packages do not always agree with one another.
  expect(output.split('\n').filter((line) => line !== '' && !/^(\.\.\/| )/.test(line))).toEqual([]);
});

test('there is no block on the page that was not run', () => {
  expect(blocks.left).toEqual([]);
});
