import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { guardProcess } from '../../scripts/embedded/guard.ts';
import { onPath } from '../../scripts/embedded/programs.ts';
import { ensurePythonClient } from '../../scripts/embedded/python.ts';
import { Rollcall } from '../../src/backend/index.ts';
import { isActive, isInactive, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually, JWT_SECRET } from '../support/deployment.ts';

let rollcall: Deployment;
let folder: string;
let backend: Rollcall;

beforeAll(async () => {
  rollcall = await Deployment.start('agents', { env: { AUDIENCE: 'watchers' } });
  backend = new Rollcall({ url: rollcall.url, key: JWT_SECRET });
  folder = await mkdtemp(join(tmpdir(), 'rollcall-agents-'));
});
afterAll(async () => {
  const faults = rollcall?.faults;
  await rollcall?.stop();
  await rm(folder, { recursive: true, force: true });
  expect(faults).toEqual([]);
});

async function exampleOf(language: 'ts' | 'python'): Promise<string> {
  const page = await readFile('docs/agents.md', 'utf8');
  const [, example = ''] = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'ms').exec(page) ?? [];
  expect(example).not.toBe('');
  return example;
}

/** A program whose tasks are the lines that it is given; each is work until the next. */
function run(command: string, args: string[], env: Record<string, string> = {}): ChildProcess {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'inherit', 'inherit'] });
  const unguard = guardProcess(child.pid ?? 0, 'SIGKILL');
  child.once('exit', unguard);
  return child;
}

const stateOf = async (userId: string) => {
  const told = await backend.getStatus(userId, { include: 'devices' }).catch(() => null);
  return told?.devices?.[0];
};

/** An agent comes, waits for work, works, waits again and goes; once more it comes, and dies. */
async function comesWorksAndGoes(userId: string, begin: () => ChildProcess, ttlSeconds: number): Promise<void> {
  const watcher = await TestClient.connect(rollcall.url, 'watcher', { watch: [userId] });
  const agent = begin();
  await watcher.hears(userId, isActive, { withinMs: 30_000 });
  expect(await stateOf(userId)).toEqual({ kind: 'agent', state: 'idle' });
  agent.stdin?.write('work\n');
  await eventually(
    () => stateOf(userId),
    (device) => device?.state === 'active',
    20_000,
  );
  agent.stdin?.write('done\n');
  await eventually(
    () => stateOf(userId),
    (device) => device?.state === 'idle',
    20_000,
  );
  // It stays for longer than a TTL.
  const [session] = (await backend.listSessions(userId)).sessions;
  const heardOf = async () => Date.parse((await backend.listSessions(userId)).sessions[0]?.lastHeartbeat ?? '');
  await eventually(heardOf, (at) => at - Date.parse(session?.lastHeartbeat ?? '') > ttlSeconds * 1000, 30_000);
  agent.stdin?.end();
  await once(agent, 'exit');
  await watcher.hears(userId, isInactive);
  expect((await backend.getStatus(userId, { include: 'why' })).why).toMatchObject({ rule: 'disconnect' });

  // Beside comings and goings it is told of whether they are idle.
  const before = watcher.statuses(userId).length;
  const crashing = begin();
  await watcher.hears(userId, isActive, { after: before, withinMs: 30_000 });
  crashing.kill('SIGKILL');
  await watcher.hears(userId, isInactive, { after: before, withinMs: ttlSeconds * 1000 + 4000 });
  expect((await backend.getStatus(userId, { include: 'why' })).why).toMatchObject({ rule: 'timeout' });
  const told = watcher.statuses(userId);
  expect(told.filter((status, n) => status !== told[n - 1])).toEqual(['active', 'inactive', 'active', 'inactive']);
  watcher.leave();
}

/** The least would be over after a pause of two seconds, which a busy machine makes. */
const TTL_SECONDS = 5;

test('the agent in TypeScript comes, works and goes, and is told as gone when it dies', {
  timeout: 120_000,
}, async () => {
  const example = (await exampleOf('ts'))
    .replace("'rollcall/server'", JSON.stringify(resolve('src/backend/index.ts')))
    .replace('https://presence.example.com', rollcall.url)
    .replace('ttlSeconds: 30', `ttlSeconds: ${TTL_SECONDS}`);
  const given = `
    import { createInterface } from 'node:readline';
    const secrets = { jwt: ${JSON.stringify(JWT_SECRET)} };
    const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
    const yours = {
      async *tasks() { for (let line = await lines.next(); !line.done; line = await lines.next()) yield line.value; },
      work: () => lines.next(),
    };
  `;
  const file = join(folder, 'agent.ts');
  await writeFile(file, `${given}${example}`);
  await comesWorksAndGoes('reviewer', () => run(process.execPath, [file]), TTL_SECONDS);
});

test('the agent in Python comes, works and goes, and is told as gone when it dies', { timeout: 300_000 }, async () => {
  const python = onPath('python3') ?? (await ensurePythonClient());
  const example = (await exampleOf('python')).replace('ttl=30', `ttl=${TTL_SECONDS}`);
  const given = `
import sys

class yours:
    tasks = staticmethod(lambda: iter(sys.stdin.readline, ""))
    work = staticmethod(lambda task: sys.stdin.readline())

`;
  const env = { ROLLCALL: rollcall.url, ROLLCALL_TOKEN: await tokenFor('summariser') };
  const file = join(folder, 'agent.py');
  await writeFile(file, `${given}${example}`);
  await comesWorksAndGoes('summariser', () => run(python, ['-u', file], env), TTL_SECONDS);
});

test('a backend that holds many leases renews them together, and puts again what is gone', async () => {
  const asked: string[] = [];
  const counting = new Rollcall({
    url: rollcall.url,
    key: JWT_SECRET,
    fetch: (url, init) => {
      asked.push(`${init.method} ${new URL(url).pathname}`);
      return fetch(url, init);
    },
  });
  const lost: string[] = [];
  const userIds = Array.from({ length: 20 }, (_, n) => `held-${n}`);
  const held = await Promise.all(
    userIds.map((userId, n) =>
      counting.holdLease({
        userId,
        name: 'a',
        ttlSeconds: TTL_SECONDS,
        rooms: [{ roomId: `desk:${n}`, data: { step: n } }],
        ...(n === 0 ? { ifMissing: 'stop', onLost: (error) => lost.push(`${userId} ${error?.code}`) } : {}),
      }),
    ),
  );
  await eventually(
    () => asked.filter((one) => one === 'POST /leases/renew').length,
    (times) => times >= 3,
    20_000,
  );
  // Far fewer than one for each.
  expect(asked.length).toBeLessThan(2 * userIds.length);
  await Promise.all(['held-0', 'held-1'].map((userId) => backend.logout({ userId })));
  await eventually(
    () => backend.getStatus('held-1'),
    ({ status }) => status === 'active',
    20_000,
  );
  // Where it was before.
  const whereIs = async (userId: string) => (await backend.getUserRooms(userId)).rooms.map(({ roomId }) => roomId);
  expect([await whereIs('held-1'), await whereIs('held-2')]).toEqual([['desk:1'], ['desk:2']]);
  expect((await backend.getRoom('desk:1')).users).toMatchObject([{ userId: 'held-1', data: { step: 1 } }]);
  await held[1]?.update({ rooms: [{ roomId: 'desk:2' }] });
  expect(await whereIs('held-1')).toEqual(['desk:2']);
  await eventually(
    () => lost,
    (all) => all.length > 0,
  );
  expect(lost).toEqual(['held-0 undefined']);
  expect((await backend.getStatus('held-0')).status).toBe('inactive');
  await Promise.all(held.map((lease) => lease.stop()));
  await eventually(
    () => backend.queryStatuses(userIds),
    ({ users }) => users.every(({ status }) => status === 'inactive'),
  );
});

test('with a token of its own a user holds a lease, too', async () => {
  const user = new Rollcall({ url: rollcall.url, token: () => tokenFor('self') });
  const lease = await user.holdLease({ userId: 'self', name: 'a', ttlSeconds: TTL_SECONDS });
  const [first] = (await backend.listSessions('self')).sessions;
  const heardOf = async () => Date.parse((await backend.listSessions('self')).sessions[0]?.lastHeartbeat ?? '');
  await eventually(heardOf, (at) => at - Date.parse(first?.lastHeartbeat ?? '') > TTL_SECONDS * 1000, 20_000);
  await lease.stop();
  await lease.stop();
  expect((await backend.getStatus('self')).status).toBe('inactive');
});
