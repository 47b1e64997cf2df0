import type { FastifyRequest } from 'fastify';
import { RollcallError } from '../../errors.ts';
import type { Caller } from './auth.ts';

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller | null;
    /** Of a body that was read and whose size no header told. */
    unannouncedBytes: number;
  }
}

/**
 * The token of a request as it was sent, good or not; null: none was. Read from the header alone: addresses end up in
 * logs and histories.
 */
export function bearerOf({ headers }: Pick<FastifyRequest, 'headers'>): string | null {
  return /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1] ?? null;
}

/** The caller of a request. Throws UNAUTHENTICATED where nobody was let in. */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null) throw new RollcallError('UNAUTHENTICATED');
  return request.caller;
}

/** Whether the caller may know of this user what the user itself may. */
export function isSelfOrReader(caller: Caller, userId: string): boolean {
  return caller.service === null ? caller.userId === userId : caller.service.read;
}

/** The user as whom the caller looks at others; null: a service, which sees everything. */
export function viewerOf(caller: Caller): string | null {
  return caller.service === null ? caller.userId : null;
}

/** Who is answerable for what the caller does to others: the service; null: a user, who acts for themselves. */
export function actorOf(caller: Caller): string | null {
  return caller.service === null ? null : caller.userId;
}

/** Lets everybody pass except a service without the right to read. Throws FORBIDDEN. */
export function requireReader(caller: Caller): void {
  if (caller.service !== null && !caller.service.read) throw new RollcallError('FORBIDDEN');
}

/** Lets the user pass, and services with the right. Throws FORBIDDEN. */
export function requireSelf(caller: Caller, userId: string, right: 'read' | 'write'): void {
  const allowed = caller.service === null ? caller.userId === userId : caller.service[right];
  if (!allowed) throw new RollcallError('FORBIDDEN');
}

/** Lets the user pass and nobody else, for what no service does for another. Throws FORBIDDEN. */
export function requireOneself(caller: Caller, userId: string): void {
  if (caller.service !== null || caller.userId !== userId) throw new RollcallError('FORBIDDEN');
}

/** Lets services with the right pass: for what only the host application may do. Throws FORBIDDEN. */
export function requireService(caller: Caller, right: 'read' | 'write'): void {
  if (!caller.service?.[right]) throw new RollcallError('FORBIDDEN');
}

/**
 * The user that a request acts for: the caller itself, or the one that a service names. Throws FORBIDDEN, or
 * INVALID_REQUEST where a service names nobody.
 */
export function actsFor(caller: Caller, named: string | undefined): string {
  if (caller.service !== null && named === undefined) {
    throw new RollcallError('INVALID_REQUEST', { message: 'userId: a service has to say whom it acts for' });
  }
  const userId = named ?? caller.userId;
  requireSelf(caller, userId, 'write');
  return userId;
}

/**
 * Whether the caller may watch a room, and an end user be there: what its token names, or what begins with one of `open`. A
 * service that reads watches all.
 */
export function mayWatchRoom({ service, rooms }: Caller, roomId: string, open: readonly string[]): boolean {
  if (service !== null) return service.read;
  const named = (name: string) => (name.endsWith('*') ? roomId.startsWith(name.slice(0, -1)) : roomId === name);
  return rooms.some(named) || open.some((prefix) => roomId.startsWith(prefix));
}

/** Lets those pass who may watch all of these rooms. Throws FORBIDDEN. */
export function requireRooms(caller: Caller, roomIds: readonly string[], open: readonly string[]): void {
  const refused = roomIds.find((roomId) => !mayWatchRoom(caller, roomId, open));
  if (refused !== undefined) {
    const message = caller.service === null ? `The \`rooms\` of the token do not name ${refused}.` : undefined;
    throw new RollcallError('FORBIDDEN', { message });
  }
}
