import { afterEach } from 'vitest';
import type { EmbeddedPostgres } from '../../scripts/embedded/stores.ts';
import { TestClient } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { type OwnRedis, ownRedis, privatePostgres } from '../support/stores.ts';

export const TTL_MS = 3000;
export const ENV = {
  PRESENCE_TTL_SECONDS: '3',
  HEARTBEAT_INTERVAL_SECONDS: '1',
  HEARTBEAT_MIN_INTERVAL_SECONDS: '0.1',
  HANDOVER_SECONDS: '1',
};
export const ending: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

export async function withPrivateRedis(name: string): Promise<{ rollcall: Deployment; redis: OwnRedis }> {
  const redis = await ownRedis();
  ending.push(() => redis.stop());
  const rollcall = await Deployment.start(name, { redisUrl: redis.url, webs: 2, env: ENV });
  ending.push(() => rollcall.stop());
  return { rollcall, redis };
}

export async function withPrivatePostgres(
  name: string,
  env = ENV,
): Promise<{ rollcall: Deployment; postgres: EmbeddedPostgres }> {
  const { postgres, databaseUrl } = await privatePostgres();
  ending.push(() => postgres.stop());
  const rollcall = await Deployment.start(name, { databaseUrl, env });
  ending.push(() => rollcall.stop());
  return { rollcall, postgres };
}

export async function connect(url: string, userId: string, auth: Record<string, unknown> = {}): Promise<TestClient> {
  const client = await TestClient.connect(url, userId, auth);
  ending.push(() => client.leave());
  return client;
}

export function keepAlive(client: TestClient): void {
  const timer = setInterval(() => void client.beat().catch(() => {}), 700);
  ending.push(() => clearInterval(timer));
}

export async function settled(rollcall: Deployment, userId: string, status: string): Promise<void> {
  await eventually(
    () => rollcall.db('users').where({ id: userId }).first(),
    (row) => row?.status === status,
  );
}
