import type { FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';
import { RollcallError } from '../errors.ts';
import { isUserIdIssue } from '../protocol/vocabulary.ts';

/** The value in the schema's shape, without what the schema does not know; throws INVALID_REQUEST or INVALID_USER_ID. */
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

/** Tells of the first problem only: a list of a thousand bad entries is not worth a thousand lines. */
function refusal({ issues }: z.ZodError): RollcallError {
  const [first] = issues;
  if (first === undefined) return new RollcallError('INVALID_REQUEST');
  const code = issues.every(isUserIdIssue) ? 'INVALID_USER_ID' : 'INVALID_REQUEST';
  const told = code === 'INVALID_USER_ID' ? first : (issues.find((issue) => !isUserIdIssue(issue)) ?? first);
  const where = told.path.map(String).join('.');
  return new RollcallError(code, { message: where === '' ? told.message : `${where}: ${told.message}` });
}
