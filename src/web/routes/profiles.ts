import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { UserExport } from '../../protocol/export.ts';
import { NoContent, UserParams } from '../../protocol/http.ts';
import { Profile, ProfileBody } from '../../protocol/social.ts';
import type { ExportApi } from '../../usecases/export.ts';
import type { Profiles } from '../../usecases/profiles.ts';
import { actorOf, callerOf, requireSelf } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';

/** Routes of profiles: to read, to change, to export and to erase a user. */
export function profileRoutes(
  app: FastifyInstance,
  profiles: Pick<Profiles, 'profile' | 'save' | 'erase'>,
  exports: ExportApi,
): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const tags = ['profiles'];

  routes.get(
    '/users/:id',
    {
      schema: {
        operationId: 'getProfile',
        tags,
        summary: 'The profile of a user',
        ...access('self', 'read'),
        params: UserParams,
        response: { 200: Profile, ...refusals(400, 401, 403, 404, 503) },
      },
    },
    async (request) => {
      const { id } = request.params;
      requireSelf(callerOf(request), id, 'read');
      return await profiles.profile(id);
    },
  );

  routes.put(
    '/users/:id',
    {
      schema: {
        operationId: 'updateProfile',
        tags,
        summary: 'Change the profile of a user; what is not named stays',
        ...access('self', 'write'),
        params: UserParams,
        body: ProfileBody,
        response: { 200: Profile, ...refusals(400, 401, 403, 413, 503) },
      },
    },
    async (request) => {
      const { id } = request.params;
      requireSelf(callerOf(request), id, 'write');
      return await profiles.save(id, request.body);
    },
  );

  routes.get(
    '/users/:id/export',
    {
      schema: {
        operationId: 'exportUser',
        tags,
        summary: 'All that is kept about a user, in one document',
        ...access(
          'self',
          'read',
          'Without what is others’ own: who blocks the user, who asked for alerts of them, who did what stands in the audit. Once a ' +
            'minute for a user, whoever asks. It is streamed: one that breaks off is no JSON.',
        ),
        params: UserParams,
        response: { 200: UserExport, ...refusals(400, 401, 403, 404, 429, 503) },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const caller = callerOf(request);
      requireSelf(caller, id, 'read');
      const document = Readable.from(await exports.document(id, actorOf(caller)));
      reply.type('application/json; charset=utf-8');
      // What is streamed is not looked at by the answer's schema.
      return reply.send(document as never);
    },
  );

  routes.delete(
    '/users/:id',
    {
      schema: {
        operationId: 'eraseUser',
        tags,
        summary: 'Erase a user everywhere',
        ...access('self', 'write'),
        params: UserParams,
        response: { 204: NoContent, ...refusals(400, 401, 403, 404, 503) },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const caller = callerOf(request);
      requireSelf(caller, id, 'write');
      await profiles.erase(id, actorOf(caller));
      return reply.code(204).send();
    },
  );
}
