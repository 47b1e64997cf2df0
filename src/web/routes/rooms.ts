import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { RollcallError } from '../../errors.ts';
import { NoContent, UserParams } from '../../protocol/http.ts';
import {
  CountRoomsRequest,
  RoomAnswer,
  RoomCountsAnswer,
  RoomParams,
  RoomQuery,
  RoomsQuery,
  RoomUserParams,
  UserRoomsAnswer,
} from '../../protocol/rooms.ts';
import { readListCursor } from '../../usecases/cursors.ts';
import type { RoomsApi } from '../../usecases/rooms.ts';
import { callerOf, requireRooms, requireSelf, requireService, viewerOf } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';
import { serializeLongAnswer } from './long-answers.ts';

/** An end user asks for so many counts at once. */
const MOST_COUNTS_OF_USER = 100;

/** Routes of rooms: who is where. `open`: what the ids of rooms begin with that everybody may watch. */
export function roomRoutes(app: FastifyInstance, rooms: RoomsApi, open: readonly string[]): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const tags = ['rooms'];

  app.register(async (long) => roomPages(long, rooms, open));

  routes.post(
    '/rooms/counts',
    {
      schema: {
        operationId: 'countRooms',
        tags,
        summary: 'How many are in each of these rooms',
        ...access('anyone', 'read'),
        body: CountRoomsRequest,
        response: { 200: RoomCountsAnswer, ...refusals(400, 401, 403, 413, 503) },
      },
    },
    async (request) => {
      const caller = callerOf(request);
      const { roomIds } = request.body;
      if (caller.service === null && roomIds.length > MOST_COUNTS_OF_USER) {
        throw new RollcallError('INVALID_REQUEST', { message: `roomIds: at most ${MOST_COUNTS_OF_USER}` });
      }
      requireRooms(caller, roomIds, open);
      return { rooms: await rooms.counts(viewerOf(caller), roomIds) };
    },
  );

  routes.get(
    '/rooms',
    {
      schema: {
        operationId: 'listRooms',
        tags,
        summary: 'The rooms with the most users, fullest first',
        ...access('service', 'read'),
        querystring: RoomsQuery,
        response: { 200: RoomCountsAnswer, ...refusals(400, 401, 403, 503) },
      },
    },
    async (request) => {
      requireService(callerOf(request), 'read');
      return { rooms: await rooms.fullest(request.query.limit) };
    },
  );

  routes.get(
    '/users/:id/rooms',
    {
      schema: {
        operationId: 'getUserRooms',
        tags,
        summary: 'The rooms a user is in, and by which sessions',
        ...access('self', 'read'),
        params: UserParams,
        response: { 200: UserRoomsAnswer, ...refusals(400, 401, 403, 404, 503) },
      },
    },
    async (request) => {
      requireSelf(callerOf(request), request.params.id, 'read');
      return { rooms: await rooms.ofUser(request.params.id) };
    },
  );

  routes.delete(
    '/rooms/:id/users/:userId',
    {
      schema: {
        operationId: 'removeFromRoom',
        tags,
        summary: 'Take a user out of a room; they may come again',
        ...access('service', 'write'),
        params: RoomUserParams,
        response: { 204: NoContent, ...refusals(400, 401, 403, 503) },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      requireService(caller, 'write');
      await rooms.putOut(request.params.id, request.params.userId, caller.userId);
      return reply.code(204).send();
    },
  );
}

/** The route for who is in a room, in a scope of its own for its long answers. */
function roomPages(app: FastifyInstance, rooms: RoomsApi, open: readonly string[]): void {
  app.setSerializerCompiler(serializeLongAnswer);
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.get(
    '/rooms/:id',
    {
      schema: {
        operationId: 'getRoom',
        tags: ['rooms'],
        summary: 'Who is in a room, by their ids',
        ...access('anyone', 'read'),
        params: RoomParams,
        querystring: RoomQuery,
        response: { 200: RoomAnswer, ...refusals(400, 401, 403, 503) },
      },
    },
    async (request) => {
      const caller = callerOf(request);
      const { limit, cursor } = request.query;
      const after = cursor === undefined ? '' : readListCursor(cursor);
      requireRooms(caller, [request.params.id], open);
      return rooms.page(viewerOf(caller), request.params.id, { limit, after });
    },
  );
}
