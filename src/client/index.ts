export { formatLastSeen } from './format-last-seen.ts';
export { createPresenceClient, type PresenceClient, type PresenceClientOptions } from './presence-client.ts';
export { PresenceError } from './presence-error.ts';
export { type GetToken, SignedOutError } from './tokens.ts';
export type * from './types.ts';
