import { serializerCompiler } from 'fastify-type-provider-zod';

/**
 * Writes long lists as they are: they are made of what is checked already, and to check each entry again would cost more than to read it.
 * Refusals are few, and go by their schemas as everywhere.
 */
export const serializeLongAnswer: typeof serializerCompiler = (route) =>
  route.httpStatus === '200' ? (answer) => JSON.stringify(answer) : serializerCompiler(route);
