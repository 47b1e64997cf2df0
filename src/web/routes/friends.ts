import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { NoContent, UserParams } from '../../protocol/http.ts';
import { AlertBody, FriendParams, FriendsAnswer, ListQuery, NewFriendParams } from '../../protocol/social.ts';
import type { Social } from '../../usecases/social.ts';
import { callerOf, requireSelf, requireService } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';
import { CHANGES_RELATIONS } from '../limits/request-limits.ts';
import { cutPage, pageOf } from './list-pages.ts';

/** Routes of friends: the host application tells who is whose friend; a user may end it, and say whom to be told of. */
export function friendRoutes(
  app: FastifyInstance,
  social: Pick<Social, 'friends' | 'befriend' | 'unfriend' | 'setAlert'>,
): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const tags = ['friends'];

  routes.get(
    '/users/:id/friends',
    {
      schema: {
        operationId: 'listFriends',
        tags,
        summary: 'All friends of a user, as the user may see them',
        ...access('self', 'read'),
        params: UserParams,
        querystring: ListQuery,
        response: { 200: FriendsAnswer, ...refusals(400, 401, 403, 503) },
      },
    },
    async (request) => {
      const { id } = request.params;
      requireSelf(callerOf(request), id, 'read');
      const page = pageOf(request.query);
      const { shown, next } = cutPage(page, await social.friends(id, page));
      return { friends: shown, ...next };
    },
  );

  routes.put(
    '/users/:id/friends/:friendId',
    {
      config: CHANGES_RELATIONS,
      schema: {
        operationId: 'addFriend',
        tags,
        summary: 'Make two users friends',
        ...access('service', 'write'),
        params: NewFriendParams,
        response: { 204: NoContent, ...refusals(400, 401, 403, 409, 503) },
      },
    },
    async (request, reply) => {
      requireService(callerOf(request), 'write');
      await social.befriend(request.params.id, request.params.friendId);
      return reply.code(204).send();
    },
  );

  routes.delete(
    '/users/:id/friends/:friendId',
    {
      config: CHANGES_RELATIONS,
      schema: {
        operationId: 'removeFriend',
        tags,
        summary: 'End a friendship, for both',
        ...access('self', 'write'),
        params: FriendParams,
        response: { 204: NoContent, ...refusals(400, 401, 403, 503) },
      },
    },
    async (request, reply) => {
      const { id, friendId } = request.params;
      requireSelf(callerOf(request), id, 'write');
      await social.unfriend(id, friendId);
      return reply.code(204).send();
    },
  );

  routes.patch(
    '/users/:id/friends/:friendId',
    {
      config: CHANGES_RELATIONS,
      schema: {
        operationId: 'setFriendAlert',
        tags,
        summary: 'Say whether to be told when a friend becomes active',
        ...access('self', 'write'),
        params: FriendParams,
        body: AlertBody,
        response: { 204: NoContent, ...refusals(400, 401, 403, 404, 413, 503) },
      },
    },
    async (request, reply) => {
      const { id, friendId } = request.params;
      requireSelf(callerOf(request), id, 'write');
      await social.setAlert(id, friendId, request.body.alert);
      return reply.code(204).send();
    },
  );
}
