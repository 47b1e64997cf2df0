import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { Redis } from 'ioredis';
import { afterEach, expect, test, vi } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { createLogger, type Logger, withoutQuery } from '../../src/log.ts';
import { privateRedis } from '../support/stores.ts';

const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlLWh1c2g';

function capture(settings: object = {}) {
  const lines: string[] = [];
  const config = { logLevel: 'info' as const, ...settings };
  const log: Logger = createLogger(config, 'web', { write: (line: string) => void lines.push(line) });
  const parsed = (): Record<string, unknown>[] => lines.map((line) => JSON.parse(line));
  return { log, written: () => lines.join(''), parsed, last: () => parsed().at(-1) ?? {} };
}

afterEach(() => {
  vi.useRealTimers();
});

test('a line says which process wrote it, when, and how serious it is', () => {
  const { log, last } = capture();
  log.info({ userId: 'ann' }, 'came');
  expect(last()).toMatchObject({ level: 'info', process: 'web', pid: process.pid, userId: 'ann', msg: 'came' });
  expect(last().time).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
});

test('what is below the level is not written', () => {
  const { log, written } = capture();
  log.debug('quiet');
  expect(written()).toBe('');
});

test('no secret is written, whatever it is called and however deep it lies', () => {
  const { log, written } = capture();
  log.info({ token: 'hush', headers: { authorization: 'Bearer hush', cookie: 'hush', host: 'h' } });
  log.info({ a: { b: [{ accessToken: 'hush', adminPassword: 'hush', JWT_SECRET: 'hush', auth: { token: 'hush' } }] } });
  log.info({ a: { b: { c: { d: { e: { f: { g: { h: { token: 'hush' } } } } } } } } });
  log.child({ webhookSecret: 'hush' }).info('child');
  log.error({ err: Object.assign(new Error('failed'), { request: { token: 'hush' }, bindings: ['hush'] }) });
  expect(written()).not.toContain('hush');
  expect(written()).toContain('"host":"h"');
});

test('no token is written, not even in a message, an address or the text of an error', () => {
  const { log, written } = capture();
  log.info(`refused ${jwt}`);
  log.info({ note: `Bearer ${jwt}`, list: [jwt], odd: new Error(jwt).message });
  log.error(new Error(`cannot read ${jwt}`));
  log.info({ note: 'redis://user:hush@host:6379/0 is away', req: { method: 'GET', url: `/%zz${jwt}` } });
  expect(written()).not.toMatch(/c2lnbmF0dXJlLWh1c2g|eyJzdWIi|hush/);
  expect(written()).toContain('cannot read [hidden]');
});

test('an error keeps what helps: its name, text, stack and code', () => {
  const { log, last } = capture();
  log.error({ err: Object.assign(new TypeError('broken', { cause: new Error('deeper') }), { code: 'E1' }) }, 'x');
  expect(last().err).toMatchObject({ type: 'TypeError', message: 'broken: deeper', code: 'E1' });
  expect(String((last().err as { stack: string }).stack)).toContain('log.test.ts');
});

test('a request is written as method and path, without query and headers', () => {
  const { log, last, written } = capture();
  log.info({
    req: { id: 7, method: 'GET', url: '/users/ann/status?x=hush#y', ip: '127.0.0.1', headers: { a: 'hush' } },
  });
  expect(last().req).toEqual({ id: 7, method: 'GET', url: '/users/ann/status', remoteAddress: '127.0.0.1' });
  const raw = Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url: '/a?token=hush' });
  log.info({ req: raw });
  log.info(raw);
  log.info({ url: '/b?x=hush' });
  expect(written()).not.toContain('hush');
});

test('an address is cut where the query begins', () => {
  expect(withoutQuery('/a/b?c=d#e')).toBe('/a/b');
  expect(withoutQuery('/a#b?c')).toBe('/a');
  expect(withoutQuery('/a')).toBe('/a');
});

test('a line that refers to itself is written all the same', () => {
  const { log, last } = capture();
  const loop: Record<string, unknown> = { name: 'loop' };
  loop.self = loop;
  log.info({ loop });
  expect(last().loop).toMatchObject({ name: 'loop' });
});

const NEXT_SECRET = 'whsec_c2lnbmVkIHdpdGggdGhpcyBhbmQgbm8gb3RoZXI=';

const GIVEN = {
  REDIS_URL: 'rediss://worker:of%2FRedis%22%40@127.0.0.1:1/0',
  DATABASE_URL: 'postgres://rollcall:rollcall@127.0.0.1:1/rollcall?password=20251129',
  JWT_SECRET: 'tokens-are-signed-with-this-and-no-other',
  ADMIN_PASSWORD: 'of-the-operator',
  WEBHOOK_URL: 'https://hooks.example.com/services/T0aB1cD2eF3gH4iJ5?key=of-the-receiver',
  WEBHOOK_SECRET: 'webhooks-are-signed-with-this-one-only',
  WEBHOOKS: JSON.stringify([
    {
      name: 'billing',
      url: 'https://hooks.example.com/services/U9aB1cD2eF3gH4iJ5?key=of-billing',
      secret: [NEXT_SECRET, 'the-one-before-it-until-it-is-rotated'],
    },
  ]),
  OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
  OTEL_EXPORTER_OTLP_HEADERS: 'api-key=of-the-collector,tenant=tenant-number-one',
};

test('no secret of the settings is written, under whatever name and in whatever form it comes up', () => {
  const { log, written, parsed } = capture(readConfig(GIVEN));
  const secrets = [
    'of/Redis"@',
    'of%2FRedis%22%40',
    Buffer.from('worker:of/Redis"@').toString('base64'),
    '20251129',
    GIVEN.JWT_SECRET,
    'of-the-operator',
    btoa('admin:of-the-operator'),
    'T0aB1cD2eF3gH4iJ5',
    'of-the-receiver',
    GIVEN.WEBHOOK_SECRET,
    'U9aB1cD2eF3gH4iJ5',
    'of-billing',
    NEXT_SECRET,
    NEXT_SECRET.slice(6),
    'the-one-before-it-until-it-is-rotated',
    'of-the-collector',
  ];
  for (const secret of secrets) {
    log.info({ x: secret, [`x${secret}`]: 1, in: { a: [`with ${secret} in it`] } }, `said ${secret}`);
    log.info({ json: JSON.stringify({ x: secret }), twice: JSON.stringify(JSON.stringify({ x: secret })) });
    log.error(Object.assign(new Error(`cannot use ${secret}`), { input: secret, why: new Error(secret) }));
    log.child({ x: secret }).warn({ at: new URL(`http://h/${encodeURIComponent(secret)}`) }, secret);
  }
  log.info({ number: 20251129 });
  for (const secret of secrets) {
    expect(written()).not.toContain(secret);
    expect(written()).not.toContain(JSON.stringify(secret).slice(1, -1));
  }
  expect(parsed()).toHaveLength(4 * secrets.length + 1);
});

test('a password that is the name of the user and of the database too makes no line unreadable', () => {
  const { log, last } = capture(readConfig(GIVEN));
  log.warn('database "rollcall" does not exist');
  expect(last().msg).toBe('database "rollcall" does not exist');
});

test('what a client of Redis says of a refused login holds neither user nor password, whatever it hangs on its errors', async () => {
  const redis = await privateRedis({ configuration: ['requirepass right-and-long', 'user worker on >else +@all ~*'] });
  const { log, written } = capture();
  const client = new Redis(redis.port, '127.0.0.1', {
    username: 'worker',
    password: 'short',
    lazyConnect: true,
    enableOfflineQueue: true,
    retryStrategy: null,
  });
  try {
    client.on('error', (error) => log.error({ err: error, deeper: { errors: [error] } }, 'A queue failed'));
    await client.connect().catch((error) => log.error(error));
    await client.auth('worker', 'short').catch((error) => log.error({ lastNodeError: error }));
    expect(written()).toContain('WRONGPASS');
    expect(written()).not.toMatch(/"short"|"worker"|"args"/);
  } finally {
    client.disconnect();
    await redis.stop();
  }
});

test('a fault in a loop is written once in ten seconds, with how often it was', () => {
  vi.useFakeTimers();
  const { log, parsed } = capture();
  const fault = (n: number) => Object.assign(new Error(`refused at ${n}`), { code: 'E1' });
  for (let n = 0; n < 2345; n++) {
    log.error({ err: fault(n) }, 'A queue failed');
    log.warn({ err: new TypeError('another') }, 'A queue failed');
    log.warn({ kind: 'OOM' }, 'Redis refuses');
  }
  expect(parsed()).toHaveLength(3);
  vi.advanceTimersByTime(10_000);
  expect(parsed().slice(3)).toEqual([
    expect.objectContaining({ msg: 'A queue failed', level: 'error', count: 2344 }),
    expect.objectContaining({ msg: 'A queue failed', level: 'warn', count: 2344 }),
    expect.objectContaining({ msg: 'Redis refuses', kind: 'OOM', count: 2344 }),
  ]);
  vi.advanceTimersByTime(20_000);
  expect(parsed()).toHaveLength(6);
  log.error({ err: fault(1) }, 'A queue failed');
  expect(parsed()).toHaveLength(7);
});

test('lines that are no fault, and those of different faults, are all written', () => {
  const { log, parsed } = capture();
  for (let n = 0; n < 3; n++) {
    log.info({ err: new Error('x') }, 'told');
    log.warn({ level: n }, 'level');
    log.error({ err: new Error('x') }, `A queue failed (${n})`);
    log.fatal({ err: new Error('x') }, 'the end');
  }
  expect(parsed()).toHaveLength(12);
});
