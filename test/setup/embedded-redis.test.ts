import { Redis } from 'ioredis';
import { afterEach, expect, test } from 'vitest';
import { startRedis } from '../../scripts/embedded/redis.ts';
import type { EmbeddedRedis } from '../../scripts/embedded/stores.ts';
import { isRunning } from '../support/processes.ts';

let redis: EmbeddedRedis | undefined;
afterEach(() => redis?.stop());

async function ask<T>(url: string, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { maxRetriesPerRequest: 0, retryStrategy: () => null });
  client.on('error', () => {});
  try {
    return await question(client);
  } finally {
    client.disconnect();
  }
}

test('a private Redis listens on this machine only and never evicts', async () => {
  redis = await startRedis();
  expect(redis.port).not.toBe(6379);
  const settings = await ask(redis.url, (client) => client.config('GET', 'bind', 'maxmemory-policy'));
  expect(settings).toEqual(expect.arrayContaining(['127.0.0.1', 'noeviction']));
});

test('two of them do not see each other', async () => {
  redis = await startRedis();
  const other = await startRedis();
  await ask(redis.url, (client) => client.set('seen', 'yes'));
  expect(await ask(other.url, (client) => client.get('seen'))).toBeNull();
  await other.stop();
});

test('killed and started again, it has its data and its port', async () => {
  redis = await startRedis({ appendonly: true });
  await ask(redis.url, (client) => client.set('kept', 'yes'));
  const before = redis.pid;
  await redis.kill('SIGKILL');
  expect(isRunning(before)).toBe(false);
  await expect(ask(redis.url, (client) => client.ping())).rejects.toThrow();
  await redis.start();
  expect(await ask(redis.url, (client) => client.get('kept'))).toBe('yes');
});

test('a restart keeps the data, or loses it where the test asks for that', async () => {
  redis = await startRedis({ appendonly: true });
  await ask(redis.url, (client) => client.set('kept', 'yes'));
  await redis.restart({ empty: false });
  expect(await ask(redis.url, (client) => client.get('kept'))).toBe('yes');
  await redis.restart({ empty: true });
  expect(await ask(redis.url, (client) => client.get('kept'))).toBeNull();
});

test('frozen it does not answer, thawed it does', async () => {
  redis = await startRedis();
  const { url } = redis;
  await redis.kill('SIGSTOP');
  let answered = false;
  const answer = ask(url, (client) => client.ping()).then((pong) => {
    answered = true;
    return pong;
  });
  // The server's own timer would answer within a fraction of this.
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(answered).toBe(false);
  await redis.kill('SIGCONT');
  expect(await answer).toBe('PONG');
});

test('stopped, it is gone, and stopping again is harmless', async () => {
  redis = await startRedis();
  const { pid } = redis;
  await redis.stop();
  await redis.stop();
  expect(isRunning(pid)).toBe(false);
});
