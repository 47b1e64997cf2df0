import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { AliveAnswer, NotReadyAnswer, ReadyAnswer } from '../../protocol/http.ts';

export interface HealthProbe {
  /** Answers soon, whatever is away. */
  read(): Promise<ReadyAnswer>;
}

/**
 * `GET /healthz` and `GET /readyz`, for whatever starts, watches and balances processes: open, and never kept in a
 * cache.
 */
export function healthRoutes(app: FastifyInstance, health: HealthProbe): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    '/healthz',
    {
      schema: {
        operationId: 'getHealth',
        tags: ['health'],
        summary: 'The process is alive',
        security: [],
        response: { 200: AliveAnswer },
      },
    },
    async (_request, reply) => {
      reply.header('cache-control', 'no-store');
      return { status: 'ok' as const };
    },
  );

  routes.get(
    '/readyz',
    {
      schema: {
        operationId: 'getReadiness',
        tags: ['health'],
        summary: 'Whether to send people here: not while Redis is away or the process drains',
        security: [],
        response: { 200: ReadyAnswer, 503: NotReadyAnswer },
      },
    },
    async (_request, reply) => {
      const state = await health.read();
      reply.header('cache-control', 'no-store');
      // Presence goes on without PostgreSQL, so that is told with a 200.
      if (state.redis && !state.draining) return state;
      return reply.code(503).header('retry-after', 1).send(state);
    },
  );
}
