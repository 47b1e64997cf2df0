import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { MemberParams, NoContent } from '../../protocol/http.ts';
import type { Conversations } from '../../usecases/conversations.ts';
import { callerOf, requireService } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';

/** Routes by which the host application tells who may join a conversation. */
export function conversationRoutes(
  app: FastifyInstance,
  conversations: Pick<Conversations, 'addMember' | 'removeMember'>,
): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const schema = {
    tags: ['conversations'],
    params: MemberParams,
    response: { 204: NoContent, ...refusals(400, 401, 403, 503) },
  };

  routes.put(
    '/conversations/:id/members/:userId',
    {
      schema: {
        operationId: 'addConversationMember',
        ...schema,
        summary: 'Let a user join a conversation',
        ...access('service', 'write'),
      },
    },
    async (request, reply) => {
      requireService(callerOf(request), 'write');
      await conversations.addMember(request.params.id, request.params.userId);
      return reply.code(204).send();
    },
  );

  routes.delete(
    '/conversations/:id/members/:userId',
    {
      schema: {
        operationId: 'removeConversationMember',
        ...schema,
        summary: 'Take a user out of a conversation, at once',
        ...access('service', 'write'),
      },
    },
    async (request, reply) => {
      requireService(callerOf(request), 'write');
      await conversations.removeMember(request.params.id, request.params.userId);
      return reply.code(204).send();
    },
  );
}
