import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { RollcallError } from '../../errors.ts';
import { MANUAL } from '../../presence/detail.ts';
import { DetailSource, DetailSourcesAnswer, PutDetailBody, SourceParams } from '../../protocol/detail.ts';
import { NoContent, UserParams } from '../../protocol/http.ts';
import type { DetailApi } from '../../usecases/presence-api.ts';
import type { Caller } from '../auth/auth.ts';
import { actorOf, callerOf, requireSelf } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';
import { IS_CHOICE } from '../limits/request-limits.ts';

/** Routes of what others see beside the status: what each source says of a user, the user among them. */
export function detailRoutes(app: FastifyInstance, details: DetailApi): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const tags = ['detail'];

  routes.get(
    '/users/:id/detail',
    {
      schema: {
        operationId: 'getDetail',
        tags,
        summary: 'What each source says of a user, the strongest first',
        ...access('self', 'read'),
        params: UserParams,
        response: { 200: DetailSourcesAnswer, ...refusals(400, 401, 403, 503) },
      },
    },
    async (request) => {
      const { id } = request.params;
      requireSelf(callerOf(request), id, 'read');
      return { sources: await details.list(id) };
    },
  );

  routes.put(
    '/users/:id/detail',
    {
      config: IS_CHOICE,
      schema: {
        operationId: 'putDetail',
        tags,
        summary: 'What the user says beside the status, all of it anew; short for the source `manual`',
        ...access('self', 'write'),
        params: UserParams,
        body: PutDetailBody,
        response: { 200: DetailSource, ...refusals(400, 401, 403, 409, 413, 503) },
      },
    },
    async (request) => {
      const { id } = request.params;
      requireSelf(callerOf(request), id, 'write');
      return await details.put(id, MANUAL, request.body);
    },
  );

  routes.delete(
    '/users/:id/detail',
    {
      config: IS_CHOICE,
      schema: {
        operationId: 'deleteDetail',
        tags,
        summary: 'The user says nothing any more; short for the source `manual`',
        ...access('self', 'write'),
        params: UserParams,
        response: { 204: NoContent, ...refusals(400, 401, 403, 503) },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const caller = callerOf(request);
      requireSelf(caller, id, 'write');
      await details.end(id, MANUAL, actorOf(caller));
      return reply.code(204).send();
    },
  );

  routes.put(
    '/users/:id/detail/:source',
    {
      config: IS_CHOICE,
      schema: {
        operationId: 'putDetailSource',
        tags,
        summary: 'What one source says of a user, in the place of what it said before; a user is `manual` and no other',
        ...access('self', 'write'),
        params: SourceParams,
        body: PutDetailBody,
        response: { 200: DetailSource, ...refusals(400, 401, 403, 409, 413, 503) },
      },
    },
    async (request) => {
      const { id, source } = request.params;
      requireSource(callerOf(request), id, source);
      return await details.put(id, source, request.body);
    },
  );

  routes.delete(
    '/users/:id/detail/:source',
    {
      config: IS_CHOICE,
      schema: {
        operationId: 'deleteDetailSource',
        tags,
        summary: 'One source says nothing of a user any more, or said nothing before',
        ...access('self', 'write'),
        params: SourceParams,
        response: { 204: NoContent, ...refusals(400, 401, 403, 503) },
      },
    },
    async (request, reply) => {
      const { id, source } = request.params;
      const caller = callerOf(request);
      requireSource(caller, id, source);
      await details.end(id, source, actorOf(caller));
      return reply.code(204).send();
    },
  );
}

/** A user speaks as `manual`; services as whoever they are, and for the user. */
function requireSource(caller: Caller, userId: string, source: string): void {
  requireSelf(caller, userId, 'write');
  if (caller.service === null && source !== MANUAL) {
    const message = `A user says something as the source ${MANUAL} alone; the others are given by services.`;
    throw new RollcallError('FORBIDDEN', { message });
  }
}
