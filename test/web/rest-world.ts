import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { SignJWT } from 'jose';
import { pino } from 'pino';
import { type Config, readConfig } from '../../src/config/config.ts';
import { RollcallError } from '../../src/errors.ts';
import type { PutDetailBody } from '../../src/protocol/detail.ts';
import type { Extra, SessionView } from '../../src/protocol/http.ts';
import type { ReachRequest } from '../../src/protocol/reach.ts';
import type { Choice, DetailApi, PresenceApi, ReachApi, StatusApi } from '../../src/usecases/presence-api.ts';
import { type AppDeps, buildApp } from '../../src/web/app.ts';
import { createAuthenticator } from '../../src/web/auth/auth.ts';
import { Origins } from '../../src/web/auth/origins.ts';
import { Tokens } from '../../src/web/auth/tokens.ts';
import { Limits } from '../../src/web/limits/limits.ts';

/** For those questions whose tests run on real stores; see social-world.ts. */
const nobodyKnows = async () => {
  throw new RollcallError('UNAVAILABLE');
};
/** The same for each question of a use case, whichever it has. */
const nobodyKnowsAny = <Questions extends object>() => new Proxy({} as Questions, { get: () => nobodyKnows });

const SECRET = 'a secret for the tests of the front door';
const NOON = '2026-01-31T12:00:00.000Z';

interface Person {
  status: 'active' | 'inactive';
  lastSeen: string | null;
  sessions: SessionView[];
}

/** People in memory, for tests of the door alone: who may ask what, in which words. */
export class People implements PresenceApi, StatusApi, DetailApi, ReachApi {
  readonly reads = this;
  readonly details = this;
  readonly decisions = this;
  readonly byId = new Map<string, Person>();
  readonly asked: unknown[] = [];
  /** Thrown by every question. */
  failure: unknown = null;

  add(userId: string, status: Person['status'] = 'active', sessionIds: string[] = ['phone']): void {
    const sessions = sessionIds.map((sessionId) => ({
      sessionId,
      device: { kind: 'mobile' as const, name: null },
      connectedAt: NOON,
      lastHeartbeat: NOON,
      state: 'active' as const,
    }));
    this.byId.set(userId, { status, lastSeen: NOON, sessions });
  }

  #find(userId: string): Person {
    if (this.failure !== null) throw this.failure;
    const person = this.byId.get(userId);
    if (!person) throw new RollcallError('USER_NOT_FOUND');
    return person;
  }

  async status(_viewer: unknown, userId: string, extras: ReadonlySet<Extra> = new Set()) {
    const { status, lastSeen } = this.#find(userId);
    const devices = status === 'active' ? [{ kind: 'mobile' as const, state: 'active' as const }] : [];
    const why = { rule: 'heartbeat' as const, sessionId: 'phone', since: NOON, nextChangeAt: null, source: null };
    const all = { devices, detail: {}, version: 17, why };
    const asked = Object.fromEntries([...extras].map((extra) => [extra, all[extra]]));
    // More than a payload, to see whether the door lets it out.
    return { userId, status, lastSeen, sessions: 17, ...asked };
  }

  async statuses(_viewer: unknown, userIds: string[]) {
    if (this.failure !== null) throw this.failure;
    return userIds.map((userId) => {
      const { status, lastSeen } = this.byId.get(userId) ?? { status: 'inactive', lastSeen: null };
      return { userId, status, lastSeen };
    });
  }

  async setStatus(userId: string, choice: Choice, claims: unknown) {
    if (this.failure !== null) throw this.failure;
    this.asked.push({ userId, choice, claims });
    return { userId, status: choice.status, lastSeen: NOON };
  }

  async logOut(userId: string, sessionId: string | null) {
    const { sessions } = this.#find(userId);
    if (sessionId !== null && !sessions.some((session) => session.sessionId === sessionId)) {
      throw new RollcallError('SESSION_NOT_FOUND');
    }
    this.asked.push({ loggedOut: userId, sessionId });
  }

  async put(userId: string, source: string, { availability, text, emoji }: PutDetailBody) {
    this.asked.push({ userId, source, availability, text, emoji });
    const said = { availability: availability ?? null, text: text ?? null, emoji: emoji ?? null };
    return { source, ...said, until: null, shown: true };
  }

  async end(userId: string, source: string) {
    this.asked.push({ userId, ended: source });
  }

  async list() {
    return [];
  }

  async reach({ userIds }: ReachRequest) {
    if (this.failure !== null) throw this.failure;
    return userIds.map((userId) => {
      return { userId, decision: 'push' as const, reason: 'unknown' as const, lastActive: null };
    });
  }

  async sessions(userId: string) {
    return this.#find(userId).sessions;
  }

  async addMember(conversationId: string, userId: string) {
    this.asked.push({ conversationId, added: userId });
  }

  async removeMember(conversationId: string, userId: string) {
    this.asked.push({ conversationId, removed: userId });
  }
}

export interface World {
  app: FastifyInstance;
  limits: Limits;
  people: People;
  /** What was logged at `warn` and above. */
  complaints: string[];
  /** With a token of this user, or a ready one. */
  ask(who: string | { token: string } | null, request: InjectOptions): Promise<LightMyRequestResponse>;
}

export async function openWorld(env: NodeJS.ProcessEnv = {}, extra: Partial<AppDeps> = {}): Promise<World> {
  const config: Config = readConfig({
    JWT_SECRET: SECRET,
    REDIS_URL: 'redis://127.0.0.1:1',
    DATABASE_URL: 'postgres://127.0.0.1:1/nowhere',
    ROOMS_OPEN: '*',
    ...env,
  });
  const people = new People();
  const complaints: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => complaints.push(line) });
  const limits = new Limits(config, { reserve: async () => ({ total: 0, leftMs: 10_000 }) });
  const app = await buildApp({
    config,
    log,
    tokens: new Tokens(createAuthenticator(config, log), limits),
    limits,
    origins: new Origins(config, log),
    presence: people,
    leases: nobodyKnowsAny(),
    conversations: people,
    rooms: nobodyKnowsAny(),
    social: nobodyKnowsAny(),
    push: { publicKey: () => 'none', check: () => {}, subscribe: nobodyKnows, unsubscribe: nobodyKnows },
    profiles: nobodyKnowsAny(),
    analytics: nobodyKnowsAny(),
    audit: nobodyKnowsAny(),
    exports: nobodyKnowsAny(),
    changes: { draining: false, changes: nobodyKnows },
    events: { open: nobodyKnows },
    health: {
      read: async () => {
        return { ready: true, redis: true, postgres: true, queue: true, draining: false, level: 0, reasons: {} };
      },
    },
    boardQueues: [],
    console: { people: nobodyKnowsAny(), live: nobodyKnowsAny() },
    scrape: async () => ({ contentType: 'text/plain', text: '' }),
    ...extra,
  });
  return {
    app,
    limits,
    people,
    complaints,
    async ask(who, request) {
      const token = typeof who === 'string' ? await sign({ sub: who }) : who?.token;
      const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
      return await app.inject({ ...request, headers: { ...authorization, ...request.headers } });
    },
  };
}

export function sign(claims: Record<string, unknown>, expiresIn: string | number = '1h', secret = SECRET) {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime(expiresIn)
    .sign(new TextEncoder().encode(secret));
}

export async function service(...scopes: string[]): Promise<{ token: string }> {
  return { token: await sign({ sub: 'backend', scope: scopes.join(' ') }) };
}
