import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { RollcallError } from '../../errors.ts';
import { ChangesAnswer, ChangesQuery, readFeedCursor } from '../../protocol/changes.ts';
import type { ChangesApi } from '../../usecases/change-feed.ts';
import { callerOf, requireService } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';

/** The route by which a backend keeps its own view of presence right. */
export function changeRoutes(app: FastifyInstance, feed: ChangesApi): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/changes',
    {
      schema: {
        operationId: 'listChanges',
        tags: ['changes'],
        summary: 'Who became active and inactive, in order and without a gap',
        ...access(
          'service',
          'read',
          'Every transition once, whoever may see it, as it is told to others: who appears inactive is inactive. To begin, ' +
            'ask without `after`, then take a snapshot (`POST /users/status/query`), then go on from the cursor. With `wait` an ' +
            'answer comes as soon as there is something to tell. A 410 `CURSOR_TOO_OLD` says that something after the cursor is ' +
            'not kept any more: begin anew.',
        ),
        querystring: ChangesQuery,
        response: { 200: ChangesAnswer, ...refusals(400, 401, 403, 410, 429, 503) },
      },
    },
    async (request, reply) => {
      const { after, limit, wait } = request.query;
      const cursor = after === undefined ? null : readFeedCursor(after);
      if (after !== undefined && cursor === null) {
        throw new RollcallError('INVALID_REQUEST', { message: 'after: not a cursor that was given out here' });
      }
      requireService(callerOf(request), 'read');
      const answer = await feed.changes(cursor, limit, wait * 1000, goneWith(reply));
      // A connection that stays open behind the answer would keep the process from ending.
      if (feed.draining) reply.header('connection', 'close');
      return answer;
    },
  );
}

/** Aborted once nobody is there any more to be answered. */
function goneWith(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  return gone.signal;
}
