import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildClient } from '../../scripts/build-client.ts';
import { installNpmPrograms } from '../../scripts/embedded/npm-programs.ts';
import { run } from '../../scripts/embedded/programs.ts';
import { CALM, Deployment, JWT_SECRET } from '../support/deployment.ts';
import { temporaryRoom } from '../support/temporary.ts';

const REPOSITORY = { GITHUB_SERVER_URL: 'https://github.com', GITHUB_REPOSITORY: 'example/rollcall' };

let room: Awaited<ReturnType<typeof temporaryRoom>>;
/** A project of somebody else that has nothing but the package. */
let project: string;
let installed: string;
let runtimes: string;
let deployment: Deployment;

beforeAll(async () => {
  room = await temporaryRoom('package');
  Object.assign(process.env, REPOSITORY);
  const { folder } = await buildClient(join(room.path, 'built'));
  project = join(room.path, 'project');
  await mkdir(project);
  await writeFile(join(project, 'package.json'), '{ "name": "theirs", "private": true, "type": "module" }');
  const npm = (...args: string[]) => promisify(execFile)('npm', args, { cwd: project });
  const packed = JSON.parse((await npm('pack', folder, '--json', '--pack-destination', room.path)).stdout);
  const [tarball] = Object.values<{ filename: string }>(packed);
  await npm('install', '--no-audit', '--no-fund', join(room.path, tarball?.filename ?? ''));
  installed = join(project, 'node_modules', 'rollcall');
  runtimes = await installNpmPrograms('test/runtimes');
  deployment = await Deployment.start('package', { env: CALM });
  await writeFile(join(project, 'tried.mjs'), TRIED);
  await writeFile(join(project, 'run.mjs'), RUN.replace('URL', deployment.url).replace('KEY', JWT_SECRET));
  await writeFile(join(project, 'uses.ts'), USES);
  const docs = await readFile('docs/backend.md', 'utf8');
  const example = /```ts\n(import .*?rollcall\/server.*?)```/s.exec(docs)?.[1] ?? '';
  expect(example).toContain('rollcall.changes');
  await writeFile(join(project, 'docs.ts'), `${YOURS}${example}`);
}, 300_000);
afterAll(async () => {
  await deployment?.stop();
  await room?.remove();
});

/** What a backend does, in whatever runtime: it imports the package by its name. */
const TRIED = `import { Rollcall, signUserToken, verifyWebhook } from 'rollcall/server';
export async function tried(url, key) {
  const rollcall = new Rollcall({ url, key });
  const user = new Rollcall({ url, token: await signUserToken({ key, userId: 'ada' }) });
  await rollcall.addFriend('ada', 'bob');
  const { friends } = await user.listFriends('ada');
  const refused = await user.countActiveUsers().catch((error) => error.code);
  let reset = false;
  for await (const change of rollcall.changes()) {
    reset = change.reset === true && change.cursor.length > 0;
    break;
  }
  const body = '{"id":"1","changes":[],"nextCursor":"x"}';
  const stamp = String(Math.floor(Date.now() / 1000));
  const utf8 = new TextEncoder();
  const hmac = { name: 'HMAC', hash: 'SHA-256' };
  const signing = await crypto.subtle.importKey('raw', utf8.encode(key), hmac, false, ['sign']);
  const bytes = new Uint8Array(await crypto.subtle.sign('HMAC', signing, utf8.encode(stamp + '.' + body)));
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const headers = new Headers({ 'Rollcall-Timestamp': stamp, 'Rollcall-Signature': 'v1=' + hex });
  const { id } = await verifyWebhook({ headers, body, secret: key });
  return JSON.stringify([friends.map(({ userId }) => userId), refused, reset, id]);
}
`;
const RUN = `import { tried } from './tried.mjs';
console.log('said', await tried('URL', 'KEY'));
`;
const SAID = 'said [["bob"],"FORBIDDEN",true,"1"]';

/** What the example in the docs takes from the application that it stands in. */
const YOURS = `declare const secrets: { jwt: string; webhook: string };
declare const yours: {
  userIds: string[];
  show(user: { userId: string; status: string; lastSeen: string | null }): Promise<void>;
  showRoom(room: { roomId: string; type: 'room_occupied' | 'room_vacated' }): Promise<void>;
  cursor(): Promise<string | undefined>;
  keep(cursor: string): Promise<void>;
};
`;

/** The same in types: of the runtime no more is known than that it has \`console\`. */
const USES = `import { type Change, Rollcall, RollcallError, type SigningCryptoKey, signServiceToken, verifyWebhook } from 'rollcall/server';
export const seen = new Map<string, Change>();
export async function follow(after: string | undefined, signal: AbortSignal): Promise<string | undefined> {
  const rollcall = new Rollcall({ url: 'https://presence.example.com', key: 'k', fetch: (url, init) => fetch(url, init) });
  for await (const change of rollcall.changes({ after, signal })) {
    if (change.reset) for (const user of (await rollcall.queryStatuses(['ada'])).users) console.log(user.lastSeen);
    else if (!change.type) seen.set(change.userId, change);
    after = change.cursor;
  }
  return after;
}
export async function receive(request: Request): Promise<number> {
  try {
    const { changes } = await verifyWebhook({ headers: request.headers, body: await request.text(), secret: 's' });
    return changes.length;
  } catch (error) {
    if (error instanceof RollcallError) return error.status;
    throw error;
  }
}
export const token = (key: SigningCryptoKey) => signServiceToken({ key, scope: 'presence:read' });
// @ts-expect-error: no such scope
void signServiceToken({ key: 'k', scope: 'presence:all' });
`;

test('the package says what it is, of which licence, from where, and what is in it', async () => {
  const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
  const own = JSON.parse(await readFile('package.json', 'utf8'));
  expect(manifest).toMatchObject({
    name: own.name,
    version: own.version,
    license: own.license,
    type: 'module',
    repository: { type: 'git', url: 'git+https://github.com/example/rollcall.git' },
    publishConfig: { access: 'public', provenance: true },
    engines: { node: '>=20' },
  });
  expect(manifest.private).toBeUndefined();
  expect(manifest.dependencies).toBeUndefined();
  expect(Object.keys(manifest.exports)).toEqual(
    expect.arrayContaining(['.', './client', './client/rooms', './react', './react/rooms', './server']),
  );
  for (const one of Object.values<string | Record<string, string>>(manifest.exports)) {
    for (const file of typeof one === 'string' ? [one] : Object.values(one)) await readFile(join(installed, file));
  }
  const files = (await readdir(installed, { recursive: true })).toSorted();
  expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'CHANGELOG.md', 'server.js']));
  expect(files.filter((name) => !/(\.js|\.d\.ts|\.md|^LICENSE|^package\.json|^server|^testing)$/.test(name))).toEqual(
    [],
  );
});

test('installed for a backend it brings nothing along, neither Socket.IO nor React', async () => {
  expect((await readdir(join(project, 'node_modules'))).filter((name) => !name.startsWith('.'))).toEqual(['rollcall']);
});

describe('its types', () => {
  const strict = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess'];
  const flags = [...strict, '--target', 'es2022', '--module', 'nodenext'];
  test.each([
    ['Node 20', 'es2023', '@types/node'],
    ['Bun', 'esnext', '@types/bun'],
    ['workers', 'es2022', '@cloudflare/workers-types'],
    ['browsers', 'es2022,dom,dom.iterable', undefined],
  ])('hold for %s, as strictly as can be', async (_runtime, lib, types) => {
    const tsc = join(process.cwd(), 'node_modules/typescript/bin/tsc');
    const known = types === undefined ? '' : join(runtimes, types);
    const args = [tsc, '--ignoreConfig', ...flags, '--lib', lib, '--types', known, 'uses.ts', 'docs.ts'];
    const { output } = await run(process.execPath, args, { cwd: project });
    // Types of runtimes do not always agree with one another.
    expect(output.split('\n').filter((line) => line !== '' && !/^(\.\.\/| )/.test(line))).toEqual([]);
  });

  test('hold for Deno', async () => {
    const said = await deno('check', 'uses.ts');
    expect(said.ok, said.output).toBe(true);
  });
});

const deno = (command: string, ...args: string[]) =>
  run(join(runtimes, '.bin/deno'), [command, '--node-modules-dir=manual', '--no-lock', ...args], {
    cwd: project,
    env: { ...process.env, DENO_NO_UPDATE_CHECK: '1', DENO_DIR: join(room.path, 'deno'), NO_COLOR: '1' },
  });

describe('it runs', () => {
  const platform = `${process.platform}-${process.arch}`;

  test('in Node 20', async () => {
    const said = await run(join(runtimes, `node-${platform}/bin/node`), ['run.mjs'], { cwd: project });
    expect(said.output.trim()).toBe(SAID);
  });

  test('in Deno', async () => {
    const said = await deno('run', '--allow-net=127.0.0.1', 'run.mjs');
    expect(said.output.trim()).toBe(SAID);
  });

  test('in Bun', async () => {
    const names = await readdir(join(runtimes, '@oven'));
    const bun = join(runtimes, '@oven', names.find((name) => !name.includes('musl')) ?? '', 'bin/bun');
    const said = await run(bun, ['run.mjs'], { cwd: project });
    expect(said.output.trim()).toBe(SAID);
  });

  test('in the runtime of workers', async () => {
    const worker = `import { tried } from './tried.mjs';
export default { async test() {
  const said = 'said ' + await tried('${deployment.url}', '${JWT_SECRET}');
  if (said !== ${JSON.stringify(SAID)}) throw new Error(said);
} };
`;
    await writeFile(join(project, 'worker.mjs'), worker);
    await writeFile(
      join(project, 'config.capnp'),
      `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [
  (name = "main", worker = (
    modules = [
      (name = "worker.mjs", esModule = embed "worker.mjs"),
      (name = "tried.mjs", esModule = embed "tried.mjs"),
      (name = "rollcall/server", esModule = embed "node_modules/rollcall/server.js"),
    ],
    compatibilityDate = "2026-01-01",
  )),
  (name = "internet", network = (allow = ["public", "private", "local"])),
]);
`,
    );
    const said = await run(join(runtimes, '.bin/workerd'), ['test', 'config.capnp'], { cwd: project });
    expect(said.ok, said.output).toBe(true);
  });
});
