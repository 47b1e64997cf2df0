import { hash, randomFillSync } from 'node:crypto';

/**
 * Ids of sessions. The first letter says what a session is: `d` of a device that named itself, which can come back for it; `a` of one
 * that did not; `l` of a lease.
 */
const CHARACTERS = 21;

/** Asked of the system for many at once; none is used twice. */
const BYTES = 16;
const RANDOM = Buffer.alloc(256 * BYTES);
let taken = 0;

/** The session of a device, the same for good. */
export function deviceSession(userId: string, deviceId: string): string {
  return `d${digestOf(userId, deviceId)}`;
}

/** A session that nobody can come back for. */
export function anonymousSession(): string {
  if (taken === RANDOM.length) taken = 0;
  if (taken === 0) randomFillSync(RANDOM);
  taken += BYTES;
  return `a${RANDOM.toString('base64url', taken - BYTES, taken).slice(0, CHARACTERS)}`;
}

/** The session that a lease is, the same for good. */
export function leaseSession(userId: string, name: string): string {
  return `l${digestOf(userId, name)}`;
}

function digestOf(userId: string, name: string): string {
  return hash('sha256', `${userId}\n${name}`, 'base64url').slice(0, CHARACTERS);
}
