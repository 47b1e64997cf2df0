import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { clientAddress } from './client-address.ts';
import { type Limits, tokenId } from './limits.ts';
import { bearerOf, callerOf } from './rights.ts';
import type { Tokens } from './tokens.ts';

/** Whoever looks after the process must be able to, also while it is flooded. */
const OPEN_TO_FLOODS = new Set(['/healthz', '/readyz']);
const STATUS_ROUTE = '/users/status';
const QUERY_ROUTE = '/users/status/query';

/** The first line: by address, before anything is read or checked. */
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

/** The second line: who it is, and how much that one may ask. */
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
  });
  app.addHook('preHandler', async (request) => {
    const caller = callerOf(request);
    if (isStatusPost(request)) {
      if (statusIn(request.body) === 'active') return;
      await limits.request(caller, bearerOf(request) ?? '');
      await limits.choose(caller);
    } else if (request.routeOptions.url === QUERY_ROUTE) {
      await limits.look(caller, tokenId(bearerOf(request) ?? ''), usersIn(request.body));
    }
  });
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
