import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { RollcallError } from '../../errors.ts';
import {
  ActiveAnswer,
  ActiveQuery,
  ActiveUsersAnswer,
  ActiveUsersQuery,
  MOST,
  TimelineAnswer,
  TimelineQuery,
  windowsOf,
} from '../../protocol/analytics.ts';
import type { AnalyticsApi, Range } from '../../usecases/analytics.ts';
import { readSeenCursor } from '../../usecases/cursors.ts';
import { callerOf, requireService } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';

const HOUR_MS = 3_600_000;

/** Routes with figures for the host application. Whoever is hidden from others is counted, and listed, like everybody. */
export function analyticsRoutes(app: FastifyInstance, analytics: AnalyticsApi): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const refused = refusals(400, 401, 403, 503);

  routes.get(
    '/analytics/active',
    {
      schema: {
        operationId: 'countActiveUsers',
        tags: ['analytics'],
        summary: 'How many are active, and how many were within X minutes',
        ...access('service', 'read'),
        querystring: ActiveQuery,
        response: { 200: ActiveAnswer, ...refused },
      },
    },
    async (request) => {
      requireService(callerOf(request), 'read');
      return await analytics.active(windowsOf(request.query.within));
    },
  );

  routes.get(
    '/analytics/active-users',
    {
      schema: {
        operationId: 'listActiveUsers',
        tags: ['analytics'],
        summary: 'Who was active within X minutes, newest first',
        ...access(
          'service',
          'read',
          'Nobody is listed twice on the pages of one walk, and whoever was not heard of meanwhile is not left out. ' +
            'Who is heard of during the walk moves to its front: on a page that has passed, and not listed further down.',
        ),
        querystring: ActiveUsersQuery,
        response: { 200: ActiveUsersAnswer, ...refused },
      },
    },
    async (request) => {
      const { within, limit, cursor } = request.query;
      const from = cursor === undefined ? { minutes: within } : readSeenCursor(cursor);
      requireService(callerOf(request), 'read');
      return await analytics.activeUsers(from, limit);
    },
  );

  routes.get(
    '/analytics/timeline',
    {
      schema: {
        operationId: 'getTimeline',
        tags: ['analytics'],
        summary: 'How many were active, and how many came or went, minute by minute',
        ...access('service', 'read', 'Steps in which no worker ran are missing: what was not counted is not zero.'),
        querystring: TimelineQuery,
        response: { 200: TimelineAnswer, ...refused },
      },
    },
    async (request) => {
      const range = rangeOf(request.query);
      requireService(callerOf(request), 'read');
      return await analytics.timeline(range, request.query.step * 1000);
    },
  );
}

/** Throws INVALID_REQUEST for a range that goes backwards or holds too many points. */
function rangeOf(query: TimelineQuery): Range {
  const to = query.to === undefined ? Date.now() : Date.parse(query.to);
  const from = query.from === undefined ? to - HOUR_MS : Date.parse(query.from);
  if (from >= to) throw new RollcallError('INVALID_REQUEST', { message: 'from: must be before to' });
  const stepMs = query.step * 1000;
  const points = Math.ceil(to / stepMs) - Math.floor(from / stepMs);
  if (points > MOST.points) {
    throw new RollcallError('INVALID_REQUEST', {
      message: `step: ${points} points are more than the ${MOST.points} that one answer may hold`,
    });
  }
  return { from, to };
}
