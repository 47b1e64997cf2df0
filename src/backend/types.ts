/** Whether somebody is here. Appearing inactive is inactive. */
export type Status = 'active' | 'inactive';
export type DeviceKind = 'web' | 'mobile' | 'desktop' | 'agent' | 'bot' | 'device' | 'other';
export type SessionState = 'active' | 'idle';
export type Visibility = 'everyone' | 'friends' | 'nobody';
export type FriendAlert = 'never' | 'once' | 'always';
/** Why somebody became active or inactive. */
export type Cause = 'connect' | 'heartbeat' | 'manual' | 'timeout' | 'disconnect' | 'logout' | 'handover' | 'erased';

export interface UserStatus {
  userId: string;
  status: Status;
  /** ISO 8601 in UTC with milliseconds, like every time here. */
  lastSeen: string | null;
  /** Of who lets others know the last seen coarsely: in whole days (UTC), before today. A backend is told the exact one. */
  lastSeenWithin?: 'day' | 'week' | 'month' | 'long_ago' | undefined;
}

/** What a user shows beside the status, and whether they are idle. */
export interface Detail {
  availability?: 'available' | 'busy' | 'away' | 'dnd' | undefined;
  text?: string | undefined;
  emoji?: string | undefined;
  /** Here, and for a while without input on any device. */
  idle?: true | undefined;
  idleSince?: string | undefined;
}

export interface Device {
  kind: DeviceKind;
  state: SessionState;
}

/** Why a status is what it is. */
export interface Why {
  rule: 'heartbeat' | 'manual' | 'timeout' | 'disconnect' | 'logout' | 'handover';
  sessionId: string | null;
  since: string | null;
  nextChangeAt: string | null;
  /** The strongest source of the detail, also while appearing inactive hides it; null: nobody says anything. */
  source: string | null;
}

/** What a source says: at least one of the three, and an end as a moment (ISO 8601) or a while, not both. */
export interface DetailSaid extends Omit<Detail, 'idle' | 'idleSince'> {
  until?: string | undefined;
  expiresInSeconds?: number | undefined;
}

/** What one source says of a user, with null for what it does not say. */
export interface DetailSource {
  source: string;
  availability: 'available' | 'busy' | 'away' | 'dnd' | null;
  text: string | null;
  emoji: string | null;
  /** null: until further notice. */
  until: string | null;
  /** The strongest: what others see, unless the user appears inactive. */
  shown: boolean;
}

export interface ReachOptions {
  /** True: whoever wants to be left alone is reached, too. */
  urgent?: boolean | undefined;
  /** How recently a device has to have been heard of; else 120. */
  withinSeconds?: number | undefined;
  /** Only devices that are in this room count. */
  roomId?: string | undefined;
}

/** How a user is reached, and why so. */
export interface Reached {
  userId: string;
  decision: 'in_app' | 'push' | 'hold';
  reason: 'unknown' | 'dnd' | 'attended' | 'in_room' | 'unattended';
  lastActive: string | null;
}

export interface UserStatusWithExtras extends UserStatus {
  /** The best first: the user is idle where the first one is. */
  devices?: Device[] | undefined;
  detail?: Detail | undefined;
  /** Grows with every change of the user. */
  version?: number | undefined;
  why?: Why | undefined;
}

/** Somebody who is in a room. */
export interface RoomUser {
  userId: string;
  /** When the first of their sessions there came. */
  since?: string | undefined;
  /** What they said of themselves last. */
  data: Record<string, unknown> | null;
  idle?: true | undefined;
}

export interface RoomPage {
  roomId: string;
  /** Of two answers or events about a room the greater is the newer. */
  version: number;
  count: number;
  users: RoomUser[];
  nextCursor: string | null;
}

export interface RoomCount {
  roomId: string;
  count: number;
}

export interface UserRoom {
  roomId: string;
  since: string;
  sessionIds: string[];
}

export interface Session {
  sessionId: string;
  device: { kind: DeviceKind; name: string | null };
  connectedAt: string;
  lastHeartbeat: string;
  state: SessionState;
}

/** What is said of a lease; what is left out stays what it was. */
export interface LeaseRequest {
  /** 3 to 3600. */
  ttlSeconds: number;
  kind?: DeviceKind | undefined;
  state?: SessionState | undefined;
  /** Where it is from now on; left out, that stays. */
  rooms?: { roomId: string; data?: Record<string, unknown> | undefined }[] | undefined;
}

export interface Lease {
  sessionId: string;
  expiresAt: string;
}

/** Which lease of which user. */
export interface LeaseName {
  userId: string;
  name: string;
}

export interface Profile {
  userId: string;
  displayName: string | null;
  avatarUrl: string | null;
  /** When the user was first heard of. */
  createdAt: string;
  lastSeen: string | null;
}

export interface Settings {
  /** Who may see whether the user is active. */
  visibility: Visibility;
  /** Who of these may see when the user was last seen. */
  lastSeenVisibility: Visibility;
  /** Whether they see it to the millisecond, or about how long ago it was (`lastSeenWithin`). */
  lastSeenPrecision: 'exact' | 'coarse';
  /** Whether friends who asked for it may be told when the user becomes active. */
  alertFriends: boolean;
}

export interface Friend extends UserStatus {
  alert: FriendAlert;
}

/** A browser's `PushSubscription`, as its `toJSON()` gives it. */
export interface PushSubscriptionJson {
  endpoint: string;
  keys: { p256dh: string; auth: string };
  expirationTime?: number | null | undefined;
}

/** How many were last seen so many minutes ago or less. */
export interface ActiveCounts {
  at: string;
  activeNow: number;
  within: { minutes: number; users: number }[];
}

export interface TimelinePoint {
  at: string;
  /** The most at once; null: nobody counted. */
  active: number | null;
  transitions: number;
}

export interface Transition {
  at: string;
  status: Status;
  cause: Cause | 'restored' | 'detail' | 'privacy';
  lastSeen: string | null;
  version: number;
}

/** All that is kept about a user. Of what there is one at most, the list has one entry or none. */
export interface UserExport {
  userId: string;
  exportedAt: string;
  profile: Omit<Profile, 'userId'>[];
  /** Now, as the user sees it. */
  presence: Omit<UserStatus, 'userId'>[];
  sessions: Session[];
  /** Where the user is now, whether others are told or not. */
  rooms: {
    roomId: string;
    since: string;
    sessions: { sessionId: string; data: Record<string, unknown> | null }[];
  }[];
  /** `until: null`: until further notice. */
  appearingInactive: { until: string | null }[];
  details: (Detail & { source: string; until: string | null })[];
  settings: Settings[];
  friends: { userId: string; alert: FriendAlert; since: string }[];
  blocks: { userId: string; since: string }[];
  conversations: { conversationId: string; since: string }[];
  pushSubscriptions: { endpoint: string; since: string; takenAt: string | null; failingSince: string | null }[];
  /** What services and operators did to the user. */
  acts: { at: string; act: AuditEntry['act']; detail: AuditEntry['detail'] }[];
  transitions: Transition[];
}

/** What an operator or a service did to somebody. */
export interface AuditEntry {
  at: string;
  /** The `sub` of a service's token, or the operator's name. */
  actor: string;
  act: 'kick' | 'session_removed' | 'erase' | 'export' | 'board' | 'source_removed';
  /** Of who was erased a keyed hash, which begins with `#`; null: nobody in particular. */
  subject: string | null;
  detail: Record<string, string | null> | null;
}

/** One user became active or inactive. */
export interface Change {
  userId: string;
  status: Status;
  lastSeen: string | null;
  /** Grows with every change of a user: drop what is not newer than what you have. */
  version: number;
  at: string;
  /** `erased`: the user was deleted; forget them, too. */
  cause: Cause;
  type?: undefined;
}

/** A room that somebody is in again, or that nobody has been in for three seconds. */
export interface RoomTold {
  type: 'room_occupied' | 'room_vacated';
  roomId: string;
  at: string;
}

/** The body of a webhook. */
export interface WebhookDelivery {
  /** Names the delivery; when it is sent again it has this id again. */
  id: string;
  changes: (Change | RoomTold)[];
  nextCursor: string;
  /** What came before is not known any more: take a fresh snapshot, then answer 2xx. */
  reset?: true | undefined;
}

export interface Readiness {
  ready: boolean;
  redis: boolean;
  postgres: boolean;
  queue: boolean;
  draining: boolean;
  level: number;
  reasons: { redis?: string | undefined; postgres?: string | undefined; queue?: string | undefined };
}

/** Of a list that comes in pages: `cursor` is the `nextCursor` of the page before. */
export interface PageQuery {
  limit?: number | undefined;
  cursor?: string | undefined;
}
