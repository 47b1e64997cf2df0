import type { InjectOptions } from 'fastify';
import { expect } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/log.ts';
import { openStores, type Stores } from '../../src/stores.ts';
import { Presence } from '../../src/usecases/presence.ts';
import { Profiles } from '../../src/usecases/profiles.ts';
import { Social } from '../../src/usecases/social.ts';
import { PrivacyKeeper } from '../../workers/privacy.ts';
import { eventually } from '../support/deployment.ts';
import { openTestStores } from '../support/stores.ts';
import { openWorld, service } from './rest-world.ts';

export type Answer = [statusCode: number, body: unknown];

/** The front door before real stores, for what is said of friends, blocks, settings and profiles. */
export interface SocialWorld {
  stores: Stores;
  presence: Presence;
  keeper: PrivacyKeeper;
  /** As this user. */
  as(userId: string, method: InjectOptions['method'], url: string, payload?: object): Promise<Answer>;
  /** As the host application. */
  host(method: InjectOptions['method'], url: string, payload?: object): Promise<Answer>;
  /** As a service with these scopes, or with no token at all. */
  askWith(scopes: string | null, request: InjectOptions): ReturnType<Awaited<ReturnType<typeof openWorld>>['ask']>;
  /** Somebody connects. */
  comes(userId: string): Promise<void>;
  close(): Promise<void>;
}

export async function openSocialWorld(name: string): Promise<SocialWorld> {
  const testStores = await openTestStores(name);
  const config = readConfig({
    JWT_SECRET: 'not the one that signs: tokens are checked by the door',
    REDIS_URL: testStores.redisUrl,
    REDIS_PREFIX: testStores.redisPrefix,
    DATABASE_URL: testStores.databaseUrl,
    LOG_LEVEL: 'fatal',
  });
  const log = createLogger(config, 'web');
  const stores = openStores(config, log);
  await eventually(
    () => stores.redis.status,
    (status) => status === 'ready',
  );
  const presence = new Presence(stores, config.ttlMs, log);
  const world = await openWorld(
    {},
    { presence, social: new Social(stores, presence), profiles: new Profiles(stores, presence) },
  );
  const answer = async (who: Parameters<typeof world.ask>[0], request: InjectOptions): Promise<Answer> => {
    const { statusCode, body } = await world.ask(who, request);
    return [statusCode, body === '' ? null : JSON.parse(body)];
  };
  return {
    stores,
    presence,
    keeper: new PrivacyKeeper(stores),
    as: (userId, method = 'GET', url, payload) => answer(userId, { method, url, ...(payload && { payload }) }),
    host: async (method = 'GET', url, payload) =>
      answer(await service('presence:write'), { method, url, ...(payload && { payload }) }),
    askWith: async (scopes, request) => world.ask(scopes === null ? null : await service(scopes), request),
    comes: async (userId) => {
      const { code } = await presence.open({
        userId,
        sessionId: `${userId}-phone`,
        conn: `${userId}-conn`,
        kind: 'mobile',
        name: '',
        state: 'active',
        beatAgeMs: 0,
        connectedAgeMs: 0,
        maxSessions: 20,
        mode: 'connect',
        claims: null,
      });
      expect(code).toBe('ok');
    },
    close: async () => {
      await world.app.close();
      await presence.followUps.settled();
      await stores.close();
      await testStores.close();
    },
  };
}

/** The code of a refusal, beside its status. */
export function refused([statusCode, body]: Answer): [number, unknown] {
  return [statusCode, body !== null && typeof body === 'object' && 'code' in body ? body.code : undefined];
}
