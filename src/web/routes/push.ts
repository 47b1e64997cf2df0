import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { NoContent, UserParams } from '../../protocol/http.ts';
import { PushEndpointBody, PushKeyAnswer, PushSubscriptionBody } from '../../protocol/push.ts';
import type { PushApi } from '../../usecases/push.ts';
import { callerOf, requireOneself, requireReader } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';

/**
 * Routes by which a browser subscribes to Web Push for the user who is signed in on it; nobody can do it for another,
 * no service either.
 */
export function pushRoutes(app: FastifyInstance, push: PushApi): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    '/push/public-key',
    {
      schema: {
        operationId: 'getPushKey',
        tags: ['push'],
        summary: 'The key with which a browser subscribes to Web Push',
        ...access('anyone', 'read', '404 where Web Push is not set up'),
        response: { 200: PushKeyAnswer, ...refusals(401, 403, 404) },
      },
    },
    async (request) => {
      requireReader(callerOf(request));
      return { publicKey: push.publicKey() };
    },
  );

  routes.put(
    '/users/:id/push-subscriptions',
    {
      schema: {
        operationId: 'subscribeToPush',
        tags: ['push'],
        summary: 'Have alerts sent to a browser while no device is connected',
        ...access('oneself', 'read', '404 where Web Push is not set up'),
        params: UserParams,
        body: PushSubscriptionBody,
        response: { 204: NoContent, ...refusals(400, 401, 403, 404, 413, 503) },
      },
    },
    async (request, reply) => {
      push.check(request.body);
      requireOneself(callerOf(request), request.params.id);
      push.publicKey();
      await push.subscribe(request.params.id, request.body);
      return reply.code(204).send();
    },
  );

  routes.delete(
    '/users/:id/push-subscriptions',
    {
      schema: {
        operationId: 'unsubscribeFromPush',
        tags: ['push'],
        summary: 'Send nothing to that browser any more',
        ...access('oneself'),
        params: UserParams,
        body: PushEndpointBody,
        response: { 204: NoContent, ...refusals(400, 401, 403, 413, 503) },
      },
    },
    async (request, reply) => {
      requireOneself(callerOf(request), request.params.id);
      await push.unsubscribe(request.params.id, request.body.endpoint);
      return reply.code(204).send();
    },
  );
}
