import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { createLogger, type Logger, withoutQuery } from '../src/log.ts';

const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlLWh1c2g';

function capture(): { log: Logger; written: () => string; last: () => Record<string, unknown> } {
  const lines: string[] = [];
  const log = createLogger({ logLevel: 'info' }, 'web', { write: (line: string) => void lines.push(line) });
  return { log, written: () => lines.join(''), last: () => JSON.parse(lines.at(-1) ?? '{}') };
}

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
  log.info({ note: 'redis://user:hush@host:6379/0 is away' });
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
