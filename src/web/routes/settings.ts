import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { UserParams } from '../../protocol/http.ts';
import { Settings, SettingsBody } from '../../protocol/social.ts';
import type { Social } from '../../usecases/social.ts';
import { callerOf, requireSelf } from '../auth/rights.ts';
import { access, refusals } from '../docs/docs.ts';
import { CHANGES_RELATIONS } from '../limits/request-limits.ts';

/** Routes of who may see what of a user. */
export function settingsRoutes(app: FastifyInstance, social: Pick<Social, 'settings' | 'changeSettings'>): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const tags = ['settings'];

  routes.get(
    '/users/:id/settings',
    {
      schema: {
        operationId: 'getSettings',
        tags,
        summary: 'Who may see a user',
        ...access('self', 'read'),
        params: UserParams,
        response: { 200: Settings, ...refusals(400, 401, 403, 503) },
      },
    },
    async (request) => {
      const { id } = request.params;
      requireSelf(callerOf(request), id, 'read');
      return await social.settings(id);
    },
  );

  routes.put(
    '/users/:id/settings',
    {
      config: CHANGES_RELATIONS,
      schema: {
        operationId: 'updateSettings',
        tags,
        summary: 'Change who may see a user, at once; what is not named stays',
        ...access('self', 'write'),
        params: UserParams,
        body: SettingsBody,
        response: { 200: Settings, ...refusals(400, 401, 403, 409, 413, 503) },
      },
    },
    async (request) => {
      const { id } = request.params;
      requireSelf(callerOf(request), id, 'write');
      return await social.changeSettings(id, request.body);
    },
  );
}
