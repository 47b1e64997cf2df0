import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { ReachAnswer, ReachRequest } from '../../protocol/reach.ts';
import type { ReachApi } from '../../usecases/presence-api.ts';
import { callerOf, requireService } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';

/** The route that says whether to ring. */
export function reachRoutes(app: FastifyInstance, decisions: ReachApi): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.post(
    '/reach',
    {
      schema: {
        operationId: 'reach',
        tags: ['detail'],
        summary: 'How users are reached: in the app where somebody sits at it, by push, or not now',
        ...access('service', 'read'),
        body: ReachRequest,
        response: { 200: ReachAnswer, ...refusals(400, 401, 403, 413, 503) },
      },
    },
    async (request) => {
      requireService(callerOf(request), 'read');
      return { users: await decisions.reach(request.body) };
    },
  );
}
