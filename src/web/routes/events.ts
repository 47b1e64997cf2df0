import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { EventStream, EventsQuery } from '../../protocol/event-stream.ts';
import type { Caller } from '../auth/auth.ts';
import { bearerOf, callerOf, requireReader } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';
import type { clientAddress } from '../limits/client-address.ts';
import { type Limits, tokenId } from '../limits/limits.ts';

/** Who tells of changes: the same who tells sockets. */
export interface EventsApi {
  /**
   * A stream of events about these users as the caller may see them; with the id of the last event that was read it goes on
   * behind that, where it can. Throws TOO_MANY_WATCHED, RATE_LIMITED or UNAVAILABLE.
   */
  open(asked: {
    caller: Caller;
    userIds: string[];
    lastEventId: string | undefined;
    request: IncomingMessage;
  }): Promise<Readable>;
}

/** The route by which whoever has no Socket.IO is told of changes. */
export function eventRoutes(
  app: FastifyInstance,
  events: EventsApi,
  limits: Limits,
  addressOf: ReturnType<typeof clientAddress>,
): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/events',
    {
      exposeHeadRoute: false,
      schema: {
        operationId: 'watchEvents',
        tags: ['status'],
        summary: 'Be told of changes, as server-sent events',
        ...access(
          'anyone',
          'read',
          'What `watch` tells over sockets, for whoever has none: first a `snapshot`, then `user_status_change` for each change, ' +
            '`token_expiring`, and `session_closed` at the end. With `Last-Event-ID` it goes on where another stream of the same ' +
            'users ended, or begins anew with `"reset": true`. Whoever reads is not active by that.',
        ),
        querystring: EventsQuery,
        response: {
          200: { content: { 'text/event-stream': { schema: EventStream } } },
          ...refusals(400, 401, 403, 429, 503),
        },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      requireReader(caller);
      const { watch: userIds } = request.query;
      const token = bearerOf(request) ?? '';
      // It stays, as a socket does, and is asked for as one.
      await limits.connectFrom(addressOf(request.raw));
      await limits.connect(caller, token);
      await limits.look(caller, tokenId(token), userIds.length);
      await limits.lookByName(caller, userIds);
      const given = request.headers['last-event-id'];
      const lastEventId = typeof given === 'string' && given !== '' ? given : undefined;
      // Whatever becomes of it, the connection was counted as one that stays.
      reply.header('connection', 'close');
      const stream = await events.open({ caller, userIds, lastEventId, request: request.raw });
      // The schema says what is in it: text.
      const answer: FastifyReply = reply;
      return answer
        .headers({
          'content-type': 'text/event-stream; charset=utf-8',
          // nginx would keep events to itself until there are many.
          'x-accel-buffering': 'no',
        })
        .send(stream);
    },
  );
}
