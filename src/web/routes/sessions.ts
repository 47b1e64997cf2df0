import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { LogoutBody, NoContent, SessionParams, SessionsAnswer, UserParams } from '../../protocol/http.ts';
import type { PresenceApi } from '../../usecases/presence-api.ts';
import { actorOf, actsFor, callerOf, requireSelf } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';

/** Routes of sessions: to see one's own, and to sign out. */
export function sessionRoutes(app: FastifyInstance, presence: PresenceApi): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.post(
    '/users/logout',
    {
      schema: {
        operationId: 'logout',
        tags: ['sessions'],
        summary: 'End one session, or all',
        ...access('self', 'write'),
        body: LogoutBody,
        response: { 204: NoContent, ...refusals(400, 401, 403, 404, 413, 503) },
      },
    },
    async (request, reply) => {
      const { userId: named, sessionId } = request.body ?? {};
      const caller = callerOf(request);
      await presence.logOut(actsFor(caller, named), sessionId ?? null, actorOf(caller));
      return reply.code(204).send();
    },
  );

  routes.get(
    '/users/:id/sessions',
    {
      schema: {
        operationId: 'listSessions',
        tags: ['sessions'],
        summary: 'The devices a user is signed in on',
        ...access('self', 'read'),
        params: UserParams,
        response: { 200: SessionsAnswer, ...refusals(400, 401, 403, 404, 503) },
      },
    },
    async (request) => {
      const { id } = request.params;
      requireSelf(callerOf(request), id, 'read');
      return { sessions: await presence.reads.sessions(id) };
    },
  );

  routes.delete(
    '/users/:id/sessions/:sessionId',
    {
      schema: {
        operationId: 'removeSession',
        tags: ['sessions'],
        summary: 'Sign a device out',
        ...access('self', 'write'),
        params: SessionParams,
        response: { 204: NoContent, ...refusals(400, 401, 403, 404, 503) },
      },
    },
    async (request, reply) => {
      const { id, sessionId } = request.params;
      const caller = callerOf(request);
      requireSelf(caller, id, 'write');
      await presence.logOut(id, sessionId, actorOf(caller));
      return reply.code(204).send();
    },
  );
}
