import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LIMITS } from '../../protocol/vocabulary.ts';
import { bearerOf, callerOf } from '../auth/rights.ts';
import type { Tokens } from '../auth/tokens.ts';
import type { clientAddress } from './client-address.ts';
import { type Limits, tokenId } from './limits.ts';

/** Whoever looks after the process must be able to, also while it is flooded. */
const OPEN_TO_FLOODS = new Set(['/healthz', '/readyz']);
const STATUS_ROUTE = '/users/status';
/** Each user named is a look. */
const LOOKS = new Set(['/users/status/query', '/reach']);

declare module 'fastify' {
  interface FastifyContextConfig {
    changesRelations?: boolean;
    isChoice?: boolean;
  }
}

/** The `config` of a route that changes who may see whom: each is a transaction in PostgreSQL, and limited as one. */
export const CHANGES_RELATIONS = { changesRelations: true } as const;

/** The `config` of a route by which users choose what others see of them. */
export const IS_CHOICE = { isChoice: true } as const;

/** Limits requests by address, before anything is read or checked: the first line. */
export function limitAddresses(
  app: FastifyInstance,
  limits: Limits,
  addressOf: ReturnType<typeof clientAddress>,
): void {
  app.addHook('onRequest', async (request) => {
    const route = request.routeOptions.url ?? '';
    // Staying active must work for a known user whatever the neighbours behind the same address do.
    if (OPEN_TO_FLOODS.has(route) || isStatusPost(request)) return;
    const waits = limits.requestFrom(addressOf(request.raw));
    if (waits) await waits;
  });
}

/** Finds who makes a request and limits how much that one may ask: the second line. */
export function limitCallers(
  app: FastifyInstance,
  tokens: Tokens,
  limits: Limits,
  addressOf: ReturnType<typeof clientAddress>,
): void {
  app.addHook('onRequest', async (request) => {
    const token = bearerOf(request);
    if (token === null) throw tokens.missing();
    const address = addressOf(request.raw);
    if (isStatusPost(request)) {
      request.caller = await tokens.checkPatiently(token, address);
      return;
    }
    request.caller = await tokens.check(token, address);
    const waits = limits.request(request.caller, token);
    if (waits) await waits;
    // Before any of it is read. What is larger than a body may be is refused for that.
    const bytes = announced(request);
    if (bytes > 0 && bytes <= LIMITS.bytes) await limits.body(request.caller, token, bytes);
  });
  app.addHook('preHandler', async (request) => {
    const caller = callerOf(request);
    const token = bearerOf(request) ?? '';
    if (isStatusPost(request)) {
      if (statusIn(request.body) === 'active') return;
      await limits.request(caller, token);
      await limits.body(caller, token, announced(request) + request.unannouncedBytes);
      await limits.choose(caller);
      return;
    }
    if (request.unannouncedBytes > 0) await limits.body(caller, token, request.unannouncedBytes);
    if (LOOKS.has(request.routeOptions.url ?? '')) {
      await limits.look(caller, tokenId(token), usersIn(request.body));
    }
    if (request.routeOptions.config.isChoice) await limits.choose(caller);
    if (request.routeOptions.config.changesRelations) await limits.changeRelations(caller);
  });
}

/**
 * Lets go of a connection whose request was answered before its body was read, where that is larger than a body may be or of
 * unknown size: Node would read on to its end, whatever its size.
 */
export function hangUpOnUnread(app: FastifyInstance): void {
  app.addHook('onSend', (request, reply, payload, done) => {
    const { raw, headers } = request;
    const endless = headers['transfer-encoding'] !== undefined || announced(request) > LIMITS.bytes;
    if (endless && !raw.complete) reply.header('connection', 'close');
    done(null, payload);
  });
}

/** The bytes of a body as its headers say; 0 where they don't. */
function announced({ headers }: FastifyRequest): number {
  return Number(headers['content-length'] ?? 0);
}

function isStatusPost(request: FastifyRequest): boolean {
  return request.method === 'POST' && request.routeOptions.url === STATUS_ROUTE;
}

function statusIn(body: unknown): unknown {
  return typeof body === 'object' && body !== null && 'status' in body ? body.status : undefined;
}

function usersIn(body: unknown): number {
  const named = typeof body === 'object' && body !== null && 'userIds' in body ? body.userIds : [];
  return Array.isArray(named) ? named.length : 0;
}
