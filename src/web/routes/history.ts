import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { RollcallError } from '../../errors.ts';
import { ActivityAnswer, ActivityQuery, HistoryAnswer, HistoryQuery } from '../../protocol/analytics.ts';
import { UserParams } from '../../protocol/http.ts';
import type { AnalyticsApi, Range } from '../../usecases/analytics.ts';
import { readHistoryCursor } from '../../usecases/cursors.ts';
import { callerOf, requireSelf } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';

/** Routes of a user's own past. */
export function historyRoutes(app: FastifyInstance, analytics: AnalyticsApi): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const refused = refusals(400, 401, 403, 404, 503);

  routes.get(
    '/users/:id/history',
    {
      schema: {
        operationId: 'listTransitions',
        tags: ['history'],
        summary: 'When a user became active and inactive, newest first',
        ...access('self', 'read'),
        params: UserParams,
        querystring: HistoryQuery,
        response: { 200: HistoryAnswer, ...refused },
      },
    },
    async (request) => {
      const { id } = request.params;
      const { limit, cursor } = request.query;
      const range = rangeOf(request.query);
      const before = cursor === undefined ? null : readHistoryCursor(cursor);
      requireSelf(callerOf(request), id, 'read');
      return await analytics.history(id, range, before, limit);
    },
  );

  routes.get(
    '/users/:id/activity',
    {
      schema: {
        operationId: 'getActivity',
        tags: ['history'],
        summary: 'How long a user was active on each day (UTC), today last',
        ...access('self', 'read'),
        params: UserParams,
        querystring: ActivityQuery,
        response: { 200: ActivityAnswer, ...refused },
      },
    },
    async (request) => {
      const { id } = request.params;
      requireSelf(callerOf(request), id, 'read');
      return await analytics.activity(id, request.query.days);
    },
  );
}

/** Throws INVALID_REQUEST for a range that goes backwards. */
function rangeOf({ from, to }: HistoryQuery): Partial<Range> {
  const range = {
    ...(from === undefined ? {} : { from: Date.parse(from) }),
    ...(to === undefined ? {} : { to: Date.parse(to) }),
  };
  if (range.from !== undefined && range.to !== undefined && range.from >= range.to) {
    throw new RollcallError('INVALID_REQUEST', { message: 'from: must be before to' });
  }
  return range;
}
