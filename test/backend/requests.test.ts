import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { Rollcall, RollcallError, type RollcallOptions } from '../../src/backend/index.ts';
import { openWorld } from '../web/rest-world.ts';

const codeOf = (asked: Promise<unknown>) =>
  asked.then(
    () => 'none',
    (error) => (error instanceof RollcallError ? error.code : String(error)),
  );

interface Route {
  operationId: string;
}

test('there is a method for every route, named as the API names it', async () => {
  const { app } = await openWorld();
  const { paths } = (await app.inject('/docs/json')).json();
  await app.close();
  const named = Object.values<Record<string, Route>>(paths).flatMap((item) =>
    Object.values(item).map(({ operationId }) => operationId),
  );
  const methods = Object.getOwnPropertyNames(Rollcall.prototype);
  expect(methods.filter((name) => !['constructor', 'changes', 'holdLease'].includes(name)).toSorted()).toEqual(
    named.toSorted(),
  );
});

/** Somebody in the place of a server, who answers as told, in order, and then with the last of it. */
async function stubborn(answers: [status: number, body: string, headers?: Record<string, string>][]) {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    const [status, body, headers] = answers[Math.min(seen.length, answers.length) - 1] ?? [500, ''];
    if (status === 0) request.socket.destroy();
    else response.writeHead(status, headers).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return {
    seen,
    close,
    client: (options: Partial<RollcallOptions> = {}) => new Rollcall({ url, token: 't', ...options }),
  };
}

const refusal = (code: string) => JSON.stringify({ statusCode: 503, code, error: 'x', message: 'Not now.' });

test('what may pass is tried again, and what may not is told at once, with its code', async () => {
  const flaky = await stubborn([
    [0, ''],
    [503, refusal('UNAVAILABLE'), { 'retry-after': '0' }],
    [200, '{"status":"active"}'],
  ]);
  expect(await flaky.client().getStatus('ada')).toEqual({ status: 'active' });
  expect(flaky.seen).toHaveLength(3);
  flaky.close();
  const never = await stubborn([[403, refusal('FORBIDDEN')]]);
  expect(await codeOf(never.client().getStatus('ada'))).toBe('FORBIDDEN');
  expect(never.seen).toHaveLength(1);
  never.close();
  expect(await codeOf(never.client({ retries: 0 }).getStatus('ada'))).toBe('NOT_CONNECTED');
  const other = await stubborn([[404, '<h1>Not found</h1>']]);
  expect(await codeOf(other.client().getStatus('ada'))).toBe('NOT_ROLLCALL');
  other.close();
  const patient = await stubborn([[429, refusal('RATE_LIMITED'), { 'retry-after': '3600' }]]);
  await expect(patient.client().getStatus('ada')).rejects.toMatchObject({ status: 429, retryAfterMs: 3_600_000 });
  expect(patient.seen).toHaveLength(1);
  patient.close();
});

test('a deletion whose answer was lost has happened', async () => {
  const lossy = await stubborn([
    [0, ''],
    [404, refusal('USER_NOT_FOUND')],
  ]);
  expect(await codeOf(lossy.client().eraseUser('ada'))).toBe('none');
  lossy.close();
});

test('a feed whose cursor is too old begins anew with a reset, and waits out what may pass', async () => {
  const change = { userId: 'ada', status: 'active', lastSeen: null, version: 1, at: 'x', cause: 'connect' };
  const server = await stubborn([
    [410, refusal('CURSOR_TOO_OLD')],
    [503, refusal('UNAVAILABLE'), { 'retry-after': '0' }],
    [200, JSON.stringify({ changes: [], nextCursor: 'now' })],
    [200, JSON.stringify({ changes: [change, { ...change, version: 2 }], nextCursor: 'then' })],
    [401, refusal('UNAUTHENTICATED')],
  ]);
  const told: unknown[] = [];
  const retried: string[] = [];
  const loop = async () => {
    const options = { after: 'old', onRetry: ({ code }: RollcallError) => void retried.push(code) };
    for await (const one of server.client().changes(options))
      told.push([one.reset ?? (one.type || one.version), one.cursor]);
  };
  expect(await codeOf(loop())).toBe('UNAUTHENTICATED');
  // Until the last change of a page is dealt with, the cursor is that of the page before.
  expect(told).toEqual([
    [true, 'now'],
    [1, 'now'],
    [2, 'then'],
  ]);
  expect(retried).toEqual(['UNAVAILABLE']);
  expect(server.seen.map((line) => /after=(\w+)/.exec(line)?.[1])).toEqual([
    'old',
    undefined,
    undefined,
    'now',
    'then',
  ]);
  server.close();
});

test('nobody can be set up without exactly one way to sign', () => {
  expect(() => new Rollcall({ url: 'http://x' })).toThrow(TypeError);
  expect(() => new Rollcall({ url: 'http://x', key: 'k', token: 't' })).toThrow(TypeError);
});
