import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { httpErrorBody, RollcallError, retryAfterSeconds, toRollcallError } from '../errors.ts';
import { TokenRefusal } from './auth/token-refusals.ts';

/** Has everything that is refused, and everything that fails, leave an app in one shape. */
export function refuseInOurShape(app: FastifyInstance): void {
  app.setErrorHandler(refuse);
  app.setNotFoundHandler((_request, reply) => sendError(reply, new RollcallError('NOT_FOUND')));
}

/**
 * Answers a request with what was thrown: an error of ours as it is, and everything else, which the log gets, as
 * INTERNAL_ERROR.
 */
export function refuse(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error = inOurTerms(thrown);
  if (error.code === 'INTERNAL_ERROR') request.log.error({ err: thrown, req: request }, 'a request failed');
  else request.log.debug({ code: error.code, req: request }, 'a request was refused');
  return sendError(reply, error);
}

/** Answers with an error of ours. Not by throwing it, for a plugin may have an error handler of its own. */
export function sendError(reply: FastifyReply, error: RollcallError): FastifyReply {
  const retryAfter = retryAfterSeconds(error);
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter);
  if (error.statusCode === 401 && !reply.hasHeader('www-authenticate')) {
    reply.header('www-authenticate', challengeOf(error));
  }
  // Serialized here, for not every refusal stands among the answers of every route.
  return reply
    .code(error.statusCode)
    .type('application/json; charset=utf-8')
    .serializer(JSON.stringify)
    .send(httpErrorBody(error));
}

/** As RFC 6750 has it: who sent no token is told no error. */
function challengeOf(error: RollcallError): string {
  if (!(error instanceof TokenRefusal) || error.reason === 'missing') return 'Bearer';
  return `Bearer error="invalid_token", error_description="${error.message}"`;
}

/** What Fastify and its plugins refuse has a 4xx of its own, of which the table of errors knows some. */
function inOurTerms(thrown: unknown): RollcallError {
  if (thrown instanceof RollcallError || !(thrown instanceof Error)) return toRollcallError(thrown);
  const statusCode = 'statusCode' in thrown ? Number(thrown.statusCode) : 500;
  if (!(statusCode >= 400 && statusCode < 500)) return toRollcallError(thrown);
  if (statusCode === 413) return new RollcallError('PAYLOAD_TOO_LARGE', { cause: thrown });
  if (statusCode === 404) return new RollcallError('NOT_FOUND', { cause: thrown });
  // Sentences of our own: a parser's may repeat what was sent.
  const message = 'code' in thrown ? MESSAGES.get(String(thrown.code)) : undefined;
  return new RollcallError('INVALID_REQUEST', { message, cause: thrown });
}

const MESSAGES = new Map([
  ['FST_ERR_BAD_URL', 'The address is not a valid one.'],
  ['FST_ERR_CTP_INVALID_MEDIA_TYPE', 'Only application/json is understood.'],
  ['FST_ERR_CTP_INVALID_JSON_BODY', 'The body is not valid JSON.'],
  ['FST_ERR_CTP_INVALID_CONTENT_LENGTH', 'The body is not as long as it claims to be.'],
]);

const NO_HTTP = new RollcallError('INVALID_REQUEST');
/** Node's own bound (`maxHeaderSize`). Only a token gets a client that far. */
const HEADERS_TOO_LARGE = new RollcallError('PAYLOAD_TOO_LARGE', {
  message: 'The address and the headers of a request, its token among them, may have 16 kB together.',
});
const LINGER_MS = 1000;
/** Thousands may be too slow at the same moment. */
const LATE_A_TURN = 10;
const late: Socket[] = [];

/** Answers what is not even HTTP, or has headers without end: it never becomes a request. Who sent nothing is told nothing. */
export function refuseConnection(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET') return;
  // Browsers open connections ahead of what they will ask. An answer to nothing would be taken for that of the request which is
  // on its way at this moment; one that closes without a word is asked again over another.
  if (socket.bytesRead === 0) socket.destroy();
  else if (error.code === 'HPE_HEADER_OVERFLOW') refuseUnread(socket, HEADERS_TOO_LARGE);
  else if (error.code !== 'ERR_HTTP_REQUEST_TIMEOUT') refuseUnread(socket);
  else if (late.push(socket) === 1) setImmediate(refuseSomeLate);
}

function refuseSomeLate(): void {
  for (const socket of late.splice(0, LATE_A_TURN)) refuseUnread(socket);
  if (late.length > 0) setImmediate(refuseSomeLate);
}

function refuseUnread(socket: Socket, refusal = NO_HTTP): void {
  if (socket.destroyed) return;
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const told = httpErrorBody(refusal);
  const body = JSON.stringify(told);
  // Not at once, which could cut off the answer; not never, for the other side may keep its half open.
  socket.setTimeout(LINGER_MS, () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${told.statusCode} ${told.error}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
}
