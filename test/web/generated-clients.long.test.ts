import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installNpmPrograms } from '../../scripts/embedded/npm-programs.ts';
import { run } from '../../scripts/embedded/programs.ts';
import { temporaryRoom } from '../support/temporary.ts';
import { openWorld } from './rest-world.ts';

let room: Awaited<ReturnType<typeof temporaryRoom>>;
let modules: string;

beforeAll(async () => {
  room = await temporaryRoom('generated');
  modules = await installNpmPrograms('test/tools');
  const world = await openWorld();
  await writeFile(join(room.path, 'openapi.json'), (await world.app.inject('/docs/json')).body);
  await world.app.close();
  await writeFile(join(room.path, 'package.json'), '{ "type": "module" }');
}, 300_000);
afterAll(() => room?.remove());

const program = (file: string, ...args: string[]) =>
  run(process.execPath, [join(modules, file), ...args], {
    cwd: room.path,
    env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
  });

/** What a compiler says of a program in the room, as strict as can be. */
async function faultsOf(name: string, source: string): Promise<string> {
  await writeFile(join(room.path, name), source);
  const strict = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess'];
  const flags = [...strict, '--module', 'esnext', '--moduleResolution', 'bundler', '--target', 'es2022'];
  const tsc = join(process.cwd(), 'node_modules/typescript/bin/tsc');
  const args = [tsc, '--ignoreConfig', ...flags, '--lib', 'es2022,dom,dom.iterable', '--types', '', name];
  return (await run(process.execPath, args, { cwd: room.path })).output;
}

test('a linter of descriptions has nothing to say', async () => {
  const rules = { extends: ['recommended-strict'], rules: { 'operation-4xx-response': { severity: 'off' } } };
  // JSON is YAML. Health asks for nothing that could be wrong.
  await writeFile(join(room.path, 'redocly.yaml'), JSON.stringify(rules));
  const lint = await program('@redocly/cli/bin/cli.js', 'lint', 'openapi.json', '--config', 'redocly.yaml');
  expect(lint.ok, lint.output).toBe(true);
  // With a fault in it, it has.
  const document = await readFile(join(room.path, 'openapi.json'), 'utf8');
  await writeFile(join(room.path, 'worse.json'), document.replace('"operationId":"getStatus",', ''));
  const worse = await program('@redocly/cli/bin/cli.js', 'lint', 'worse.json', '--config', 'redocly.yaml');
  expect(worse.ok).toBe(false);
  expect(worse.output).toContain('operationId');
});

test('openapi-typescript makes types by the names that one would write', async () => {
  const made = await program('openapi-typescript/bin/cli.js', 'openapi.json', '-o', 'types.ts');
  expect(made.output).toContain('types.ts');
  const faults = await faultsOf(
    'uses-types.ts',
    `import type { components, operations, webhooks } from './types';
type Schemas = components['schemas'];
export const status: Schemas['UserStatus'] = { userId: 'ada', status: 'active', lastSeen: '2026-01-31T12:00:00.000Z' };
export const asked: Schemas['QueryStatusesRequest'] = { userIds: [status.userId] };
export const list = (many: Schemas['UserStatusList']): Schemas['UserStatus'][] => many.users;
export const rows = (page: Schemas['ChangeList']): (Schemas['Change'] | Schemas['RoomTold'])[] => page.changes;
export type Path = operations['addFriend']['parameters']['path'];
export const friend: Path = { id: 'ada', friendId: 'bob' };
export const gone = (error: Schemas['Gone']): 'CURSOR_TOO_OLD' => error.code;
export type Delivery = webhooks['changes']['post']['requestBody']['content']['application/json'];
export const reset = (delivery: Delivery): delivery is Schemas['WebhookDelivery'] => delivery.reset === true;
// @ts-expect-error: no such status
export const wrong: Schemas['Status'] = 'away';
`,
  );
  expect(faults).toBe('');
});

test('orval makes a client whose functions and types have the names that one would write', async () => {
  const output = { target: './orval/rollcall.ts', schemas: './orval/model', client: 'fetch' };
  const config = { rollcall: { input: './openapi.json', output } };
  await writeFile(join(room.path, 'orval.config.mjs'), `export default ${JSON.stringify(config)};\n`);
  await mkdir(join(room.path, 'orval'));
  const made = await program('orval/dist/bin/orval.mjs', '--config', 'orval.config.mjs');
  expect(made.ok, made.output).toBe(true);
  const client = await readFile(join(room.path, 'orval/rollcall.ts'), 'utf8');
  const functions = [...client.matchAll(/^export const (\w+) = async/gm)].map(([, name]) => name);
  expect(functions).toEqual(
    expect.arrayContaining(['getStatus', 'setStatus', 'queryStatuses', 'addFriend', 'removeFriend', 'listChanges']),
  );
  // No name that a generator had to make up of an address, a number or a place.
  for (const name of functions) expect(name).not.toMatch(/Users?Id|ById|\d|Id[A-Z]/);
  const models = (await readdir(join(room.path, 'orval/model'))).map((file) => file.replace('.ts', ''));
  expect(models).toEqual(expect.arrayContaining(['userStatus', 'change', 'friend', 'profile', 'webhookDelivery']));
  for (const model of models) expect(model).not.toMatch(/\d|anyOf|oneOf/i);
  const faults = await faultsOf(
    'uses-orval.ts',
    `import { addFriend, getStatus, queryStatuses } from './orval/rollcall';
import type { UserStatus } from './orval/model';
export async function seen(): Promise<UserStatus[]> {
  await addFriend('ada', 'bob');
  const one = await getStatus('ada', { include: 'devices' });
  const many = await queryStatuses({ userIds: ['ada', 'bob'] });
  return [...(one.status === 200 ? [one.data] : []), ...(many.status === 200 ? many.data.users : [])];
}
`,
  );
  expect(faults).toBe('');
});
