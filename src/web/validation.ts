import type { FastifyInstance, FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';
import { RollcallError } from '../errors.ts';
import { unknownName } from '../protocol/near-names.ts';
import { isUserIdIssue } from '../protocol/vocabulary.ts';

/** The value in the schema's shape; throws INVALID_REQUEST or INVALID_USER_ID. */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw refusal(result.error);
}

/** Lets Fastify check the schemas of the routes in the same way. */
export const compileValidator: FastifySchemaCompiler<z.ZodType> =
  ({ schema }) =>
  (data) => {
    const result = schema.safeParse(data);
    return result.success ? { value: result.data } : { error: refusal(result.error) };
  };

/**
 * Makes validators for a route whose bodies may be long: what is certainly as it should be is not taken apart by the schema, which
 * would cost more than to answer it. `isPlain` may say false of anything, and true only of what the schema takes as it is.
 */
export function compileValidatorUnless(isPlain: (data: unknown) => boolean): FastifySchemaCompiler<z.ZodType> {
  return (route) => {
    const validate = compileValidator(route);
    return (data) => (isPlain(data) ? { value: data } : validate(data));
  };
}

/** Refuses bodies for routes that name none: what stands in one would be passed over. Nothing at all may be written out. */
export function refuseUnnamedBodies(app: FastifyInstance): void {
  app.addHook('preValidation', async ({ body, routeOptions }) => {
    if (body === undefined || body === null || routeOptions.schema?.body !== undefined) return;
    const [first] = typeof body === 'object' ? Object.keys(body) : [String(body)];
    if (first === undefined) return;
    throw new RollcallError('INVALID_REQUEST', { message: `${unknownName(first, [])}: this takes no body` });
  });
}

/** Tells of the first problem only: a list of a thousand bad entries is not worth a thousand lines. */
function refusal({ issues }: z.ZodError): RollcallError {
  const [first] = issues;
  if (first === undefined) return new RollcallError('INVALID_REQUEST');
  const code = issues.every(isUserIdIssue) ? 'INVALID_USER_ID' : 'INVALID_REQUEST';
  // What is mistyped also lacks where it should stand: the name that is not known says more.
  const mistyped = issues.find((issue) => issue.code === 'unrecognized_keys');
  const told = mistyped ?? issues.find((issue) => !isUserIdIssue(issue)) ?? first;
  const where = told.path.map(String).join('.');
  return new RollcallError(code, { message: where === '' ? told.message : `${where}: ${told.message}` });
}
