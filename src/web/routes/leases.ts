import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { NoContent } from '../../protocol/http.ts';
import { LeaseAnswer, LeaseBody, LeaseParams, RenewAnswer, RenewBody } from '../../protocol/leases.ts';
import type { LeasesApi } from '../../usecases/leases.ts';
import { callerOf, requireRooms, requireSelf, requireService } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';

/**
 * Routes of leases: presence without a socket, for agents, bots, devices and servers. `roomsOpen`: what the ids of rooms begin with in which
 * everybody may be.
 */
export function leaseRoutes(app: FastifyInstance, leases: LeasesApi, roomsOpen: readonly string[]): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.put(
    '/users/:id/leases/:name',
    {
      schema: {
        operationId: 'putLease',
        tags: ['leases'],
        summary: 'Be here without a socket, for so long; again: be here for longer',
        ...access('self', 'write', 'What is left out stays what it was.'),
        params: LeaseParams,
        body: LeaseBody,
        response: { 200: LeaseAnswer, ...refusals(400, 401, 403, 409, 413, 503) },
      },
    },
    async (request) => {
      const caller = callerOf(request);
      const { id, name } = request.params;
      requireSelf(caller, id, 'write');
      if (caller.service === null) {
        // What is left out stays, as far as the token names it by now.
        const named = request.body.rooms?.map(({ roomId }) => roomId) ?? (await leases.roomsOf(id, name));
        requireRooms(caller, named, roomsOpen);
      }
      return await leases.put(id, name, request.body, caller.service === null ? caller.claims : null);
    },
  );

  routes.post(
    '/leases/renew',
    {
      schema: {
        operationId: 'renewLeases',
        tags: ['leases'],
        summary: 'Renew many leases at once',
        ...access('service', 'write', 'One that is not there is not made.'),
        body: RenewBody,
        response: { 200: RenewAnswer, ...refusals(400, 401, 403, 413, 503) },
      },
    },
    async (request) => {
      requireService(callerOf(request), 'write');
      return await leases.renew(request.body.leases);
    },
  );

  routes.delete(
    '/users/:id/leases/:name',
    {
      schema: {
        operationId: 'deleteLease',
        tags: ['leases'],
        summary: 'End a lease at once',
        ...access('self', 'write', 'Also where there was none.'),
        params: LeaseParams,
        response: { 204: NoContent, ...refusals(400, 401, 403, 503) },
      },
    },
    async (request, reply) => {
      const { id, name } = request.params;
      requireSelf(callerOf(request), id, 'write');
      await leases.remove(id, name);
      return reply.code(204).send();
    },
  );
}
