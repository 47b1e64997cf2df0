import { afterAll, beforeAll, expect, test } from 'vitest';
import { Rollcall } from '../../src/backend/index.ts';
import { type Io, plain } from '../../src/cli/output.ts';
import { runCli } from '../../src/cli/run.ts';
import { TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually, JWT_SECRET } from '../support/deployment.ts';

let deployment: Deployment;
let backend: Rollcall;

beforeAll(async () => {
  deployment = await Deployment.start('cli', { env: CALM });
  backend = new Rollcall({ url: deployment.url, key: JWT_SECRET });
});
afterAll(() => deployment.stop());

interface Run {
  code: Promise<number>;
  out: string[];
  err: string[];
  stop(): void;
}

/** A line as somebody types it; `env` beside what a shell would have after the line that `rollcall dev` prints. */
function run(line: string, env: Record<string, string> = {}, isTerminal = false): Run {
  const ending = new AbortController();
  const [out, err]: [string[], string[]] = [[], []];
  const io: Io = {
    env: { ROLLCALL_URL: deployment.url, JWT_SECRET, ...env },
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    isTerminal,
    signal: ending.signal,
  };
  return { code: runCli(line.split(' ').filter(Boolean), io), out, err, stop: () => ending.abort() };
}

async function done(line: string, env: Record<string, string> = {}) {
  const { code, out, err } = run(line, env);
  return { code: await code, out: out.join('\n'), err: err.join('\n') };
}

test('a token that it signs lets its user in, with the claims named, and one for a service reads about anyone', async () => {
  const user = await done('token cli-new --claim name=Ada --for 10m');
  expect(user).toMatchObject({ code: 0, err: '' });
  await new Rollcall({ url: deployment.url, token: user.out }).setStatus({ status: 'active' });
  expect(JSON.parse(atob(user.out.split('.')[1] ?? ''))).toMatchObject({ sub: 'cli-new', name: 'Ada' });
  const service = JSON.parse((await done('token --service read --json')).out);
  expect(service).toMatchObject({ scope: 'presence:read', expiresAt: expect.stringMatching(/Z$/) });
  const reader = new Rollcall({ url: deployment.url, token: service.token });
  expect(await reader.getStatus('cli-new')).toMatchObject({ status: 'active' });
  await expect(reader.logout({ userId: 'cli-new' })).rejects.toMatchObject({ code: 'FORBIDDEN' });
});

test('it lists who is online, says why, and signs out whoever is to go', async () => {
  const ada = await TestClient.connect(deployment.url, 'cli-ada', { device: { kind: 'web', name: 'Ada’s tab' } });
  const everybody = await eventually(
    () => done('who'),
    ({ out }) => out.includes('cli-ada'),
  );
  expect(everybody.out).toMatch(/^USER +STATUS +LAST SEEN\n/);
  const named = JSON.parse((await done('who cli-ada cli-nobody --json')).out);
  expect(named.users).toEqual([
    { userId: 'cli-ada', status: 'active', lastSeen: expect.any(String) },
    { userId: 'cli-nobody', status: 'inactive', lastSeen: null },
  ]);
  await ada.socket.emitWithAck('set_detail', { availability: 'busy', text: 'In a meeting' });
  const why = await done('why cli-ada');
  expect(why.out).toMatch(/\n {2}shows {4}busy, In a meeting\n/);
  expect(why.out).toMatch(/^cli-ada is online, last seen [\d:]{8}\n {2}because {2}a session gives signs of life/);
  expect(why.out).toContain('Ada’s tab');
  // What users write tells a terminal nothing.
  expect(plain('tab\u001b[2J\u202e')).toBe('tab·[2J·');
  expect(JSON.parse((await done('why cli-ada --json')).out)).toMatchObject({
    status: 'active',
    why: { rule: 'heartbeat' },
    sessions: [{ device: { kind: 'web' } }],
  });
  expect(await done('kick cli-ada')).toMatchObject({ code: 0, out: 'cli-ada is signed out everywhere.' });
  await eventually(
    () => ada.closed,
    (closed) => closed[0]?.reason === 'logout',
  );
  expect((await done('why cli-ada')).out).toMatch(/is offline.*\n {2}because {2}they were signed out/);
});

test('it watches users and follows the change feed until it is stopped, a line for each change', async () => {
  const watch = run('watch cli-bob --json');
  await eventually(
    () => watch.out.length,
    (lines) => lines === 1,
  );
  const tail = run('tail --json');
  // From the moment on at which the feed was asked where it stands.
  await eventually(
    async () => {
      await backend.setStatus({ userId: 'cli-probe', status: 'active' });
      await backend.setStatus({ userId: 'cli-probe', status: 'inactive' });
      return tail.out.length;
    },
    (lines) => lines > 0,
  );
  const told = ({ out }: Run) => out.map((line) => JSON.parse(line)).filter(({ userId }) => userId === 'cli-bob');
  const bob = await TestClient.connect(deployment.url, 'cli-bob');
  // Of what comes together watchers are told the last alone.
  await eventually(
    () => told(watch).length,
    (lines) => lines === 2,
  );
  bob.leave();
  await eventually(
    () => [told(watch).length, told(tail).length],
    ([watched = 0, fed = 0]) => watched === 3 && fed === 2,
  );
  expect(told(watch).map(({ status }) => status)).toEqual(['inactive', 'active', 'inactive']);
  expect(told(tail).map(({ status, cause }) => `${status} ${cause}`)).toEqual([
    'active connect',
    'inactive disconnect',
  ]);
  expect(told(tail).at(-1).cursor).toEqual(expect.any(String));
  expect(watch.err).toEqual([expect.stringMatching(/^connected to http/)]);
  watch.stop();
  tail.stop();
  expect(await Promise.all([watch.code, tail.code])).toEqual([0, 0]);
});

test('what goes wrong is told with what to do: exit code 1 where Rollcall refuses or is away, 2 where the line is wrong', async () => {
  const wrong = { JWT_SECRET: 'another-secret-than-the-one-that-rollcall-has' };
  expect(await done('who', wrong)).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^UNAUTHENTICATED: .*\nJWT_SECRET must/s),
  });
  const user = { ROLLCALL_TOKEN: await tokenFor('cli-eve') };
  expect(await done('who', user)).toMatchObject({ code: 1, err: expect.stringContaining('scope presence:write') });
  expect(await done('tail', user)).toMatchObject({ code: 1, err: expect.stringContaining('FORBIDDEN') });
  expect(await done('why cli-unknown')).toMatchObject({ code: 1, err: expect.stringContaining('case-sensitive') });
  const away = await done('who --url http://127.0.0.1:1');
  expect(away).toMatchObject({ code: 1, err: expect.stringMatching(/does not answer\.\nIs Rollcall running there\?/) });
  const nobody = await done('kick cli-ada', { JWT_SECRET: '', ROLLCALL_TOKEN: '' });
  expect(nobody).toMatchObject({ code: 2, err: expect.stringContaining('set JWT_SECRET') });
  for (const line of [
    'whoo',
    'why',
    'why a b',
    'who --jsn',
    'who --limit many',
    'token ada --for ever',
    'token',
    'dev --set no',
  ]) {
    expect(await done(line), line).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringMatching(/--help says more|help says more/),
    });
  }
});

test('every command has help of its own, and the whole fits a screen', async () => {
  const { code, out } = await done('');
  expect(code).toBe(0);
  const names = [...out.matchAll(/^ {2}(\w+) .* {2}\w/gm)].map(([, name = '']) => name);
  expect(names).toEqual(['dev', 'token', 'who', 'why', 'watch', 'tail', 'rooms', 'kick']);
  expect(out.split('\n').length).toBeLessThan(24);
  for (const name of names) {
    expect((await done(`${name} --help`)).out).toMatch(new RegExp(`^rollcall ${name}\\b.*--json`, 's'));
    expect(await done(`help ${name}`)).toMatchObject({ code: 0, out: (await done(`${name} --help`)).out });
  }
});

test('colours are for terminals alone, and not where NO_COLOR is set', async () => {
  const lines = async (env: Record<string, string>, isTerminal: boolean) => {
    const { code, out } = run('who cli-new', env, isTerminal);
    expect(await code).toBe(0);
    return out.join('\n');
  };
  expect(await lines({}, true)).toContain('\u001b[32monline\u001b[0m');
  expect(await lines({ NO_COLOR: '1' }, true)).not.toContain('\u001b');
  expect(await lines({}, false)).not.toContain('\u001b');
});
