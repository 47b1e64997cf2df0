/** Rollcall for backends: `rollcall/server`. Runs wherever there is `fetch` and WebCrypto, and needs no package. */
export type { ChangesOptions, FedChange, FedReset } from './changes.ts';
export type { Fetch, RollcallOptions } from './http.ts';
export type { HeldLease, HoldOptions } from './lease.ts';
export { Rollcall } from './rollcall.ts';
export { RollcallError } from './rollcall-error.ts';
export {
  type ServiceTokenOptions,
  type SigningCryptoKey,
  type SigningKey,
  signServiceToken,
  signUserToken,
  type UserTokenOptions,
} from './tokens.ts';
export type * from './types.ts';
export type { WatchedChange, WatchedUser, WatchOptions, WatchSnapshot } from './watch-events.ts';
export { type ReceivedWebhook, verifyWebhook } from './webhook.ts';
