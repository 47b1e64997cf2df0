import { createHash, randomBytes } from 'node:crypto';

/**
 * Ids of sessions. The first letter says what a session is: `d` of a device that named itself, which can come back for it; `a` of one
 * that did not; `l` of a lease.
 */
const CHARACTERS = 21;

/** The session of a device, the same for good. */
export function deviceSession(userId: string, deviceId: string): string {
  return `d${digestOf(userId, deviceId)}`;
}

/** A session that nobody can come back for. */
export function anonymousSession(): string {
  return `a${randomBytes(16).toString('base64url').slice(0, CHARACTERS)}`;
}

/** The session that a lease is, the same for good. */
export function leaseSession(userId: string, name: string): string {
  return `l${digestOf(userId, name)}`;
}

function digestOf(userId: string, name: string): string {
  return createHash('sha256').update(`${userId}\n${name}`).digest('base64url').slice(0, CHARACTERS);
}
