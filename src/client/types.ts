/**
 * What an application sees. Written out instead of taken from the protocol's schemas, so that the published types
 * need nothing of the server; `test/client/types.test.ts` holds the two together.
 */
import type { PresenceError } from './presence-error.ts';

/** Where a user stands; `unknown` until the server has said. */
export type PresenceStatus = 'active' | 'inactive' | 'unknown';
/** Whether a person is at the device: `idle` after a time without input. */
export type Activity = 'active' | 'idle';
export type DeviceKind = 'web' | 'mobile' | 'desktop' | 'agent' | 'bot' | 'device' | 'other';
export type IndicatorKind = 'typing' | 'recording_audio';

/** What a user lets others see beside the status. */
export interface Detail {
  availability?: 'available' | 'busy' | 'away' | 'dnd' | undefined;
  text?: string | undefined;
  emoji?: string | undefined;
}

/** One user as last heard. The object stays the same for as long as nothing in it changes. */
export interface Presence {
  readonly userId: string;
  readonly status: PresenceStatus;
  /** ISO-8601, UTC. Null where nobody may know or nobody ever saw the user. */
  readonly lastSeen: string | null;
  /** Of an inactive user who lets others know the last seen coarsely: in whole days of UTC, before today. */
  readonly lastSeenWithin?: 'day' | 'week' | 'month' | 'long_ago' | undefined;
  readonly detail: Readonly<Detail>;
  /** Active, and for a while without input on any device. */
  readonly idle: boolean;
  /** Since when, ISO-8601, UTC. Null where they are not, or nobody may know when they were last seen. */
  readonly idleSince: string | null;
}

export interface PresenceChange {
  readonly presence: Presence;
  /** Undefined where this client had heard nothing of the user. */
  readonly previous: Presence | undefined;
}

export interface Indicator {
  readonly userId: string;
  readonly kind: IndicatorKind;
}

export type ConnectionState =
  | { readonly status: 'connecting'; readonly error?: PresenceError | undefined }
  | {
      readonly status: 'connected';
      readonly userId: string;
      /** Null for an observer, who has no presence of its own. */
      readonly sessionId: string | null;
      readonly heartbeatIntervalMs: number;
      /** How long the server waits for a sign of life. */
      readonly ttlMs: number;
      /** What added to `Date.now()` gave the server's time when we connected; `now()` stays right if this device's clock is set. */
      readonly clockOffsetMs: number;
    }
  | { readonly status: 'reconnecting'; readonly error?: PresenceError | undefined }
  | { readonly status: 'closed'; readonly reason: ClosedReason; readonly error?: PresenceError | undefined };

/**
 * `not_started`: before `connect()`; `closed`: by `close()`; `logout`: this session was signed out, here or elsewhere;
 * `signed_out`: `getToken` said that nobody is signed in; `replaced`: another connection took this `deviceId`; `refused`:
 * the server will not have us (see `error`); `disconnected`: the server closed without saying why.
 */
export type ClosedReason = 'not_started' | 'closed' | 'logout' | 'signed_out' | 'replaced' | 'refused' | 'disconnected';

/** A value that tells when it changes; fits React's `useSyncExternalStore`. */
export interface Observable<T> {
  get(): T;
  /** Calls back after every change; the returned function ends that. */
  subscribe(listener: () => void): () => void;
}
