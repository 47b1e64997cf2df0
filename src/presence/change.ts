import type { Openness } from './visibility.ts';

/** What the world may be told about a user. */
export type Status = 'active' | 'inactive';

/** Why a transition happened; written into the history and shown by `include=why`. */
export const CAUSES = [
  'connect',
  'heartbeat',
  'manual',
  'timeout',
  'disconnect',
  'logout',
  'handover',
  /** Redis had lost the user, who was there all along: active → active, no transition. */
  'restored',
  /** What they show beside the status is another: no transition. */
  'detail',
  /** Other people may see them from now on: no transition. */
  'privacy',
  /** Nobody is to know that they ever were. */
  'erased',
] as const;
export type Cause = (typeof CAUSES)[number];

/** Causes of changes that are told, with a version of their own, though nobody came or went: no transitions. */
export const NO_TRANSITION = ['restored', 'detail', 'privacy'] as const satisfies Cause[];

/** The fields of a detail, in the order in which one is written down. */
export const DETAIL_FIELDS = ['availability', 'text', 'emoji'] as const;

/** What a user lets others see beside the status; with nothing in it: nothing. */
export interface Detail {
  availability?: 'available' | 'busy' | 'away' | 'dnd' | undefined;
  text?: string | undefined;
  emoji?: string | undefined;
}

/** A detail as others see it: what the strongest source says, and whether they are idle. */
export interface ShownDetail extends Detail {
  idle?: true | undefined;
  /** ISO-8601; for those who may know exactly when the user was last seen. */
  idleSince?: string | undefined;
}

/** What one source says of a user. */
export interface StoredSource {
  source: string;
  detail: Detail;
  /** null means until further notice; 0 or less: over, which others may not have been told. */
  remainingMs: number | null;
}

/** One change of one user as it stands in the outbox. All times are milliseconds of the Redis clock. */
export interface Change {
  userId: string;
  status: Status;
  /** Latest sign of life that others may know; null: nobody ever saw the user. */
  lastSeen: number | null;
  version: number;
  /** When the change was made. */
  at: number;
  cause: Cause;
  /** What the user shows beside the status, in a change in which that changed for others, or may have without their being told. */
  detail?: ShownDetail;
  /** What is said of somebody who appears inactive: for that user and for services. */
  hiddenDetail?: Detail;
  /** Of somebody who became active: last seen before that (ms); null: never. */
  awaySince?: number | null;
  /** Not everybody may see this change. */
  restricted?: boolean;
  /** Of a change of cause `privacy` or `erased`: what was allowed until now. */
  before?: PrivacyBefore | PrivacyUnknown;
}

/** What a user allowed before, and who came to the two lists and went from them since. */
export interface PrivacyBefore extends Openness {
  friends: { added: string[]; removed: string[] };
  blocks: { added: string[]; removed: string[] };
  /** Somebody came to the lists or went, and nothing else changed. */
  onlyLists: boolean;
  /** They may have been told of something in between, or not: they are told what is true, whatever they could see before. */
  overtaken: string[];
  /** More than one change has gathered: whoever could see the user is told what is true, though they see as much as before. */
  gathered: boolean;
}

/** Nobody knows who could see the user before: everybody is told what is true for them. */
export type PrivacyUnknown = 'unknown';

/** The name and picture that a user's own token carried. */
export interface Claims {
  name?: string;
  picture?: string;
}

/** What PostgreSQL remembers of a user, as far as presence needs it. */
export interface StoredUser {
  version: number;
  lastSeen: number | null;
  /** The status in the last recorded change. */
  status: Status;
  /** Appear inactive: null when not chosen; `remainingMs` null means until further notice. */
  hidden: { remainingMs: number | null } | null;
  /** Who says something of them that others see beside the status, the strongest first, those over included. */
  sources: readonly StoredSource[];
  /** Grows with every change of the sources; 0: none ever said anything. */
  detailRevision: number;
  /** Revision of what decides who may see the user; 0: everybody may see everything. */
  privacyRevision: number;
  /** Nobody ever heard of them, but somebody blocks them already. */
  unknown?: true;
  /** They were erased so long ago: connections from before are not theirs any more. */
  erasedAgoMs?: number;
}
