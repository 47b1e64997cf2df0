import type { InjectOptions } from 'fastify';
import { expect } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/log.ts';
import { openServices, type Services } from '../../src/stores.ts';
import { Presence } from '../../src/usecases/presence.ts';
import { Profiles } from '../../src/usecases/profiles.ts';
import { Social } from '../../src/usecases/social.ts';
import { PrivacyKeeper } from '../../workers/privacy.ts';
import { eventually } from '../support/deployment.ts';
import { openStores } from '../support/stores.ts';
import { openWorld, service } from './rest-world.ts';

export type Answer = [statusCode: number, body: unknown];

/** The front door before real stores, for what is said of friends, blocks, settings and profiles. */
export interface SocialWorld {
  services: Services;
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
  const stores = await openStores(name);
  const config = readConfig({
    JWT_SECRET: 'not the one that signs: tokens are checked by the door',
    REDIS_URL: stores.redisUrl,
    REDIS_PREFIX: stores.redisPrefix,
    DATABASE_URL: stores.databaseUrl,
    LOG_LEVEL: 'fatal',
  });
  const log = createLogger(config, 'web');
  const services = openServices(config, log);
  await eventually(
    () => services.redis.status,
    (status) => status === 'ready',
  );
  const presence = new Presence(services, config.ttlMs, log);
  const world = await openWorld(
    {},
    { presence, social: new Social(services, presence), profiles: new Profiles(services, presence) },
  );
  const answer = async (who: Parameters<typeof world.ask>[0], request: InjectOptions): Promise<Answer> => {
    const { statusCode, body } = await world.ask(who, request);
    return [statusCode, body === '' ? null : JSON.parse(body)];
  };
  return {
    services,
    presence,
    keeper: new PrivacyKeeper(services),
    as: (userId, method = 'GET', url, payload) => answer(userId, { method, url, ...(payload && { payload }) }),
    host: async (method = 'GET', url, payload) =>
      answer(await service('presence:write'), { method, url, ...(payload && { payload }) }),
    askWith: async (scopes, request) => world.ask(scopes === null ? null : await service(scopes), request),
    comes: async (userId) => {
      const code = await presence.open({
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
      await services.close();
      await stores.close();
    },
  };
}

/** The code of a refusal, beside its status. */
export function refused([statusCode, body]: Answer): [number, unknown] {
  return [statusCode, body !== null && typeof body === 'object' && 'code' in body ? body.code : undefined];
}
