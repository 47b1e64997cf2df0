import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '../../scripts/embedded/programs.ts';
import { importViolations } from '../../scripts/import-rules.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'rollcall-import-rules-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function house(files: Record<string, string>): Promise<string[]> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), text);
  }
  return importViolations(root);
}

test('the house as it stands keeps its rules', async () => {
  expect(await importViolations(process.cwd())).toEqual([]);
});

test('imports that follow the arrows are fine', async () => {
  const files = {
    'src/presence/status.ts': 'export const status = 1;',
    'src/redis/store.ts': "import { status } from '../presence/status.ts'; export const store = status;",
    'src/stores.ts': "export { store } from './redis/store.ts';",
    'workers/main.ts': "import { store } from '../src/stores.ts'; console.log(store);",
  };
  expect(await house(files)).toEqual([]);
});

const forbidden: [string, string, string][] = [
  ['rules that know the store', 'src/presence/status.ts', 'src/redis/keys.ts'],
  ['one store that knows the other', 'src/redis/keys.ts', 'src/postgres/users.ts'],
  ['a store that knows the door', 'src/postgres/users.ts', 'src/web/app.ts'],
  ['a web that knows the workers', 'src/web/app.ts', 'workers/main.ts'],
  ['a worker that knows the web', 'workers/main.ts', 'src/web/app.ts'],
  ['a client that knows the server', 'src/client/state.ts', 'src/redis/keys.ts'],
  ['a demo that knows more than the client', 'src/demo/page.ts', 'src/protocol/socket.ts'],
  ['settings that know the stores', 'src/config/config.ts', 'src/redis/keys.ts'],
  ['a server that knows its scripts', 'src/web/app.ts', 'scripts/demo.ts'],
  ['a use case that knows a door', 'src/usecases/social.ts', 'src/web/auth/rights.ts'],
  ['a route that knows the sockets', 'src/web/routes/status.ts', 'src/web/sockets/gateway.ts'],
  ['a socket that knows the routes', 'src/web/sockets/handlers.ts', 'src/web/routes/status.ts'],
  ['a store that knows what it is used for', 'src/redis/keys.ts', 'src/usecases/social.ts'],
  ['a file that opens stores and knows what they are used for', 'src/stores.ts', 'src/usecases/social.ts'],
  ['a bench that hangs on tests', 'bench/index.ts', 'test/support/client.ts'],
  ['a migration that hangs on the code of today', 'migrations/1.ts', 'src/presence/status.ts'],
  ['a room nobody planned', 'src/utils/all.ts', 'src/config/config.ts'],
];

test.for(forbidden)('%s: refused', async ([, from, to]) => {
  const up = '../'.repeat(from.split('/').length - 1);
  for (const statement of [
    `import { x } from '${up}${to}'; x;`,
    `import type { x } from '${up}${to}'; export type y = x;`,
    `await import('${up}${to}');`,
  ]) {
    const violations = await house({ [from]: statement, [to]: 'export const x = 1; export type x = 1;' });
    expect(violations).toEqual([expect.stringContaining(`${from}: imports ${to}`)]);
  }
});

test('a circle of imports is told as the way round', async () => {
  const violations = await house({
    'src/redis/a.ts': "import './b.ts';",
    'src/redis/b.ts': "import './c.ts';",
    'src/redis/c.ts': "import type { a } from './a.ts'; export type c = a;",
  });
  expect(violations).toEqual(['import circle: src/redis/a.ts → src/redis/b.ts → src/redis/c.ts → src/redis/a.ts']);
});

test('only its own room speaks to a store through its package', async () => {
  const violations = await house({ 'src/web/app.ts': "import knex from 'knex'; knex;" });
  expect(violations).toEqual([expect.stringContaining('imports knex')]);
});

test('the command fails on a violation', async () => {
  await house({ 'src/presence/status.ts': "import '../redis/keys.ts';", 'src/redis/keys.ts': '' });
  const script = join(process.cwd(), 'scripts', 'import-rules.ts');
  const { ok, output } = await run(process.execPath, [script], { cwd: root });
  expect(ok).toBe(false);
  expect(output).toContain('presence may use no other room, never redis');
});

test('a use case speaks to no transport', async () => {
  const violations = await house({
    'src/usecases/social.ts': "import type { FastifyRequest } from 'fastify'; export type x = FastifyRequest;",
  });
  expect(violations).toEqual(['src/usecases/social.ts: imports fastify: a use case knows no transport']);
});
