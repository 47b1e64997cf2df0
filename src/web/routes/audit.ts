import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { AuditAnswer, AuditQuery } from '../../protocol/audit.ts';
import type { AuditApi } from '../../usecases/audit.ts';
import { callerOf, requireService } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';

/** The route that tells what operators and services did to people. */
export function auditRoutes(app: FastifyInstance, audit: Pick<AuditApi, 'list'>): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/audit',
    {
      schema: {
        operationId: 'listAudit',
        tags: ['audit'],
        summary: 'What operators and services did to people, newest first',
        ...access('service', 'read', 'Who was erased is named by a keyed hash, which begins with `#`.'),
        querystring: AuditQuery,
        response: { 200: AuditAnswer, ...refusals(400, 401, 403, 503) },
      },
    },
    async (request) => {
      requireService(callerOf(request), 'read');
      return await audit.list(request.query);
    },
  );
}
