import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { BRISK, CALM, Deployment, eventually, Program, type WebProgram } from '../support/deployment.ts';

const QUEUES = ['broadcasts', 'last-seen', 'maintenance', 'notifications', 'pushes', 'timeouts', 'webhooks'];
let rollcall: Deployment;
let guarded: WebProgram;

beforeAll(async () => {
  rollcall = await Deployment.start('operator', { env: CALM });
  guarded = await rollcall.addWeb({ ADMIN_USER: 'ops', ADMIN_PASSWORD: 'a:b c' });
});
afterAll(() => rollcall?.stop());

const basic = (login: string) => `Basic ${Buffer.from(login).toString('base64')}`;
const board = (url: string, authorization?: string) =>
  fetch(url, authorization === undefined ? {} : { headers: { authorization } });

describe('the board and the console', () => {
  const ofBoard = ['/admin/queues', '/admin/queues/', '/admin/queues/api/queues', '/admin/queues/queue/timeouts'];
  const ofConsole = ['/admin', '/admin/', '/admin/console.js', '/admin/api/live', '/admin/api/people?q=a'];

  test.each([...ofBoard, ...ofConsole])('%s does not exist while no password is set', async (path) => {
    const answer = await board(`${rollcall.url}${path}`, basic('admin:'));
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ statusCode: 404, code: 'NOT_FOUND' });
  });

  // Those of the console are tried in test/web/console.test.ts: here too many wrong passwords would come together.
  test.each(ofBoard)('%s opens for the operator alone', async (path) => {
    const url = `${guarded.url}${path}`;
    const user = `Bearer ${await tokenFor('ops', { scope: 'presence:write' })}`;
    for (const login of [undefined, basic('ops:'), basic('ops:a'), basic('admin:a:b c'), basic(''), 'Basic', user]) {
      const refused = await board(url, login);
      expect(refused.status).toBe(401);
      expect(refused.headers.get('www-authenticate')).toMatch(/^Basic /);
      expect(await refused.json()).toMatchObject({ statusCode: 401, code: 'UNAUTHENTICATED' });
    }
    expect((await board(url, basic('ops:a:b c'))).status).toBe(200);
  });

  test('shows all queues, and of a timeout, which is kept small, whose it is and when it is due', async () => {
    const page = await board(`${guarded.url}/admin/queues`, basic('ops:a:b c'));
    expect(page.headers.get('content-type')).toMatch(/^text\/html/);
    expect(await page.text()).toContain('Rollcall');

    const from = Date.now();
    const ada = await TestClient.connect(guarded.url, 'ada:1');
    const api = `${guarded.url}/admin/queues/api/queues`;
    const list = async () => {
      const url = `${api}?activeQueue=timeouts&status=delayed&page=1`;
      const { queues } = (await (await board(url, basic('ops:a:b c'))).json()) as {
        queues: { name: string; counts: Record<string, number>; jobs: { id: string; name: string; data: object }[] }[];
      };
      return queues;
    };
    // The board counts first and lists then: the job may come between.
    const queues = await eventually(list, (found) =>
      found.some(({ counts, jobs }) => jobs.length > 0 && counts.delayed !== 0),
    );
    expect(queues.map((queue) => queue.name).sort()).toEqual(QUEUES);
    const timeouts = queues.find((queue) => queue.name === 'timeouts');
    expect(timeouts?.counts.delayed).toBe(1);
    const [job] = timeouts?.jobs ?? [];
    expect(job).toMatchObject({ name: 'check', data: { userId: 'ada:1', due: expect.any(String) } });
    const due = String(Object(job?.data).due);
    // While a web holds the connection the job sleeps for ten TTLs.
    expect(Math.abs(Date.parse(due) - from - 600_000)).toBeLessThan(5000);

    const one = await board(`${api}/timeouts/${encodeURIComponent(job?.id ?? '')}`, basic('ops:a:b c'));
    expect(await one.json()).toMatchObject({ job: { id: job?.id, data: { userId: 'ada:1' } } });
    for (const queue of QUEUES) {
      const shown = await board(`${guarded.url}/admin/queues/queue/${queue}`, basic('ops:a:b c'));
      expect(shown.status).toBe(200);
    }
    // A job that waits for everybody who is active has to be small: no hash table.
    const key = `${rollcall.queuePrefix('timeouts')}:timeouts:${job?.id}`;
    expect(await rollcall.redis.object('ENCODING', key)).toMatch(/^(list|zip)/);
    ada.leave();
  });
});

const ask = (url: string, path: string, login: string, from: string) =>
  fetch(`${url}${path}`, { headers: { authorization: basic(login), 'x-forwarded-for': from } });

test('whoever guesses the password is sent away for a while, at the board, the console and the metrics alike; who knows it passes', async () => {
  const web = await rollcall.addWeb({ ADMIN_PASSWORD: 'right', TRUST_PROXY: '1' });
  const statuses: number[] = [];
  for (let n = 0; n < 11; n++) {
    statuses.push(
      (await ask(web.url, n % 2 ? '/admin/queues' : '/admin/api/live', `admin:guess-${n}`, '192.0.2.7')).status,
    );
    statuses.push((await ask(web.url, '/metrics', `admin:guess-${n}`, '192.0.2.7')).status);
  }
  expect(statuses).toEqual([...Array(20).fill(401), ...Array(2).fill(429)]);
  const refused = await ask(web.url, '/admin/queues/api/queues', 'admin:guess', '192.0.2.7');
  expect(refused.status).toBe(429);
  expect(await refused.json()).toMatchObject({ code: 'RATE_LIMITED' });
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(10);
  for (const path of ['/admin/queues', '/metrics', '/admin/queues/api/queues', '/admin/api/live']) {
    expect((await ask(web.url, path, 'admin:right', '192.0.2.7')).status).toBe(200);
    expect((await ask(web.url, path, 'admin:right', '192.0.2.8')).status).toBe(200);
  }
  await web.end();
});

test('wrong passwords count over all processes together, and at each of them the right one passes', async () => {
  const metricsPort = await freePort();
  const env = { ADMIN_PASSWORD: 'right', REDIS_PREFIX: `${rollcall.prefix}guessed:` };
  const webs = await Promise.all([rollcall.addWeb(env), rollcall.addWeb(env)]);
  const worker = await rollcall.addWorker({ ...env, METRICS_PORT: `${metricsPort}` });
  const [one = '', other = ''] = webs.map(({ url }) => url);
  const scraped = `http://127.0.0.1:${metricsPort}`;
  const guess = async (url: string) => (await ask(url, '/metrics', 'admin:guess', '')).status;
  for (const url of [one, scraped]) for (let n = 0; n < 9; n++) expect(await guess(url)).toBe(401);
  let looked = 0;
  while ((await guess(other)) === 401) looked++;
  // Eighteen were tried elsewhere; of which it hears with its first.
  expect(looked).toBeLessThanOrEqual(4);
  for (const url of [one, other, scraped]) expect((await ask(url, '/metrics', 'admin:right', '')).status).toBe(200);
  await Promise.all([...webs, worker].map((program) => program.end()));
});

test('a board that may write takes changes from its own page and from programs, and from no other site', async () => {
  const web = await rollcall.addWeb({ ADMIN_PASSWORD: 'right', BOARD_WRITABLE: 'true' });
  const change = async (headers: Record<string, string>, path = 'maintenance/pause') => {
    const url = `${web.url}/admin/queues/api/queues/${path}`;
    const answer = await fetch(url, { method: 'PUT', headers: { authorization: basic('admin:right'), ...headers } });
    return answer.status;
  };
  const foreign = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: web.url, 'sec-fetch-site': 'cross-site' },
  ];
  for (const headers of foreign) expect([headers, await change(headers)]).toEqual([headers, 403]);
  const own = [{}, { 'sec-fetch-site': 'same-origin' }, { origin: web.url }];
  for (const headers of own) {
    expect([headers, await change(headers)]).toEqual([headers, 200]);
    expect(await change(headers, 'maintenance/resume')).toBe(200);
  }
  const page = await board(`${web.url}/admin/queues`, basic('admin:right'));
  expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  expect(page.headers.get('cache-control')).toBe('no-store');
  await web.end();
});

test('a process says that it lives and whether it is ready, to anybody', async () => {
  const alive = await rest(rollcall.url, 'GET', '/healthz');
  expect([alive.status, alive.body]).toEqual([200, { status: 'ok' }]);
  // A store that takes a second to answer, as on a busy machine, counts as away for that look.
  const ready = await eventually(
    () => rest(rollcall.url, 'GET', '/readyz'),
    ({ body }) => Object.keys(body.reasons).length === 0,
  );
  expect(ready.status).toBe(200);
  const level = expect.any(Number);
  expect(ready.body).toEqual({
    ready: true,
    redis: true,
    postgres: true,
    queue: true,
    draining: false,
    level,
    reasons: {},
  });
});

describe.concurrent('a process with bad settings', () => {
  const wrong = {
    PORT: 'http',
    REDIS_URL: 'http://127.0.0.1',
    DATABASE_URL: '',
    JWT_SECRET: 'too short',
    JWKS_URL: 'https://keys.example.com/',
    PRESENCE_TTL_SECONDS: '1',
    HEARTBEAT_INTERVAL_SECONDS: '1',
    AUDIENCE: 'nobody',
    WEB_CONCURRENCY: '0',
    HANDOVER_SECONDS: 'soon',
  };

  test.each(['src/web/main.ts', 'workers/main.ts'])('%s ends with 1 and tells of all of them at once', async (file) => {
    const program = new Program(file, wrong);
    expect(await program.exited).toEqual({ code: 1, signal: null });
    const said = program.lines.join('\n');
    for (const name of ['PORT', 'REDIS_URL', 'DATABASE_URL', 'JWT', 'PRESENCE_TTL_SECONDS', 'AUDIENCE', 'HANDOVER']) {
      expect(said).toContain(name);
    }
    expect(said).toContain('WEB_CONCURRENCY');
    expect(said).not.toContain('too short');
    expect(said.match(/These settings are wrong/g)).toHaveLength(1);
  });

  test('is one whose windows are equal', async () => {
    const env = { ...rollcall.env, ...BRISK, HEARTBEAT_INTERVAL_SECONDS: '3' };
    const program = new Program('workers/main.ts', env);
    expect((await program.exited).code).toBe(1);
    expect(program.lines.join('\n')).toContain('PRESENCE_TTL_SECONDS must be greater than HEARTBEAT_INTERVAL_SECONDS');
  });
});
