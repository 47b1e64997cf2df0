import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { NoContent, UserParams } from '../../protocol/http.ts';
import { BlockParams, BlocksAnswer, ListQuery, NewBlockParams } from '../../protocol/social.ts';
import type { Social } from '../../usecases/social.ts';
import { callerOf, requireSelf } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';
import { CHANGES_RELATIONS } from '../limits/request-limits.ts';
import { cutPage, pageOf } from './list-pages.ts';

/** Routes of whom a user blocks. */
export function blockRoutes(app: FastifyInstance, social: Pick<Social, 'blocks' | 'block' | 'unblock'>): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const tags = ['blocks'];
  const response = { 204: NoContent, ...refusals(400, 401, 403, 503) };

  routes.get(
    '/users/:id/blocks',
    {
      schema: {
        operationId: 'listBlocks',
        tags,
        summary: 'Whom a user blocks',
        ...access('self', 'read'),
        params: UserParams,
        querystring: ListQuery,
        response: { 200: BlocksAnswer, ...refusals(400, 401, 403, 503) },
      },
    },
    async (request) => {
      const { id } = request.params;
      requireSelf(callerOf(request), id, 'read');
      const page = pageOf(request.query);
      const blocked = (await social.blocks(id, page)).map((userId) => ({ userId }));
      const { shown, next } = cutPage(page, blocked);
      return { blocks: shown, ...next };
    },
  );

  routes.put(
    '/users/:id/blocks/:blockedId',
    {
      config: CHANGES_RELATIONS,
      schema: {
        operationId: 'blockUser',
        tags,
        summary: 'Block a user: neither sees the other any more',
        ...access('self', 'write'),
        params: NewBlockParams,
        response: { 204: NoContent, ...refusals(400, 401, 403, 409, 503) },
      },
    },
    async (request, reply) => {
      const { id, blockedId } = request.params;
      requireSelf(callerOf(request), id, 'write');
      await social.block(id, blockedId);
      return reply.code(204).send();
    },
  );

  routes.delete(
    '/users/:id/blocks/:blockedId',
    {
      config: CHANGES_RELATIONS,
      schema: {
        operationId: 'unblockUser',
        tags,
        summary: 'Block a user no longer',
        ...access('self', 'write'),
        params: BlockParams,
        response,
      },
    },
    async (request, reply) => {
      const { id, blockedId } = request.params;
      requireSelf(callerOf(request), id, 'write');
      await social.unblock(id, blockedId);
      return reply.code(204).send();
    },
  );
}
