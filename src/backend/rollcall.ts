import { type ChangesOptions, type FedChange, type FedReset, follow } from './changes.ts';
import { Http, type RollcallOptions } from './http.ts';
import { type HeldLease, type HoldOptions, LeaseKeeper } from './lease.ts';
import type * as t from './types.ts';
import { type WatchedChange, type WatchOptions, type WatchSnapshot, watchEvents } from './watch-events.ts';

const EXPORT_TIMEOUT_MS = 600_000;

/** The path with ids in it, each written as a part of an address. */
const at = (parts: TemplateStringsArray, ...ids: string[]): string => String.raw(parts, ...ids.map(encodeURIComponent));

/**
 * Rollcall as a backend sees it: a method for each route, by its `operationId`. All reject with a `RollcallError`. What may
 * pass (a 503, a 429, silence) is tried again first, which is right for all of them: what is so already stays so.
 */
export class Rollcall {
  readonly #http: Http;
  #keeper: LeaseKeeper | undefined;

  constructor(options: RollcallOptions) {
    this.#http = new Http(options);
  }

  /** Whether a user is active, and when they were last seen; `include`: `devices,detail,version,why` or some of these. */
  getStatus(userId: string, query: { include?: string | undefined } = {}): Promise<t.UserStatusWithExtras> {
    return this.#http.call('GET', at`/users/${userId}/status`, { query });
  }

  /** The status of up to 1000 users, in the order asked, with what `include` names. */
  queryStatuses(
    userIds: readonly string[],
    query: { include?: string | undefined } = {},
  ): Promise<{ users: t.UserStatusWithExtras[] }> {
    return this.#http.call('POST', '/users/status/query', { query, body: { userIds } });
  }

  /** Has a user appear inactive (for so long, else until further notice), or ends that. */
  setStatus(body: {
    status: t.Status;
    userId?: string | undefined;
    expiresInSeconds?: number | undefined;
  }): Promise<t.UserStatus> {
    return this.#http.call('POST', '/users/status', { body });
  }

  /** Ends one session of a user, or all. */
  logout(body: { userId?: string | undefined; sessionId?: string | undefined }): Promise<void> {
    return this.#http.call('POST', '/users/logout', { body, ends: true });
  }

  /** The devices that a user is signed in on. */
  listSessions(userId: string): Promise<{ sessions: t.Session[] }> {
    return this.#http.call('GET', at`/users/${userId}/sessions`);
  }

  /** Signs a device out. */
  removeSession(userId: string, sessionId: string): Promise<void> {
    return this.#http.call('DELETE', at`/users/${userId}/sessions/${sessionId}`, { ends: true });
  }

  /** Has a user be here for so long without a socket, or for longer where they are by that lease; `holdLease` renews by itself. */
  putLease(userId: string, name: string, body: t.LeaseRequest): Promise<t.Lease> {
    return this.#http.call('PUT', at`/users/${userId}/leases/${name}`, { body });
  }

  /** Renews up to 1000 leases; those that are not there are not made. */
  renewLeases(leases: readonly t.LeaseName[]): Promise<{ renewed: number; missing: t.LeaseName[] }> {
    return this.#http.call('POST', '/leases/renew', { body: { leases } });
  }

  /** Ends a lease, if it is there. */
  deleteLease(userId: string, name: string): Promise<void> {
    return this.#http.call('DELETE', at`/users/${userId}/leases/${name}`);
  }

  /** Puts a lease and renews it until it is stopped; where this process dies it lapses by itself. */
  holdLease(options: HoldOptions): Promise<HeldLease> {
    this.#keeper ??= new LeaseKeeper({
      put: ({ userId, name }, body) => this.putLease(userId, name, body),
      renew: (leases) => this.renewLeases(leases),
      remove: ({ userId, name }) => this.deleteLease(userId, name),
    });
    return this.#keeper.hold(options);
  }

  /** How up to 1000 users are reached: in the app, by push, or not now. */
  reach(userIds: readonly string[], options: t.ReachOptions = {}): Promise<{ users: t.Reached[] }> {
    return this.#http.call('POST', '/reach', { body: { userIds, ...options } });
  }

  /** What each source says of a user beside the status, the strongest first. */
  getDetail(userId: string): Promise<{ sources: t.DetailSource[] }> {
    return this.#http.call('GET', at`/users/${userId}/detail`);
  }

  /** What the user says beside the status, all of it anew; short for the source `manual`. */
  putDetail(userId: string, body: t.DetailSaid): Promise<t.DetailSource> {
    return this.#http.call('PUT', at`/users/${userId}/detail`, { body });
  }

  /** The user says nothing any more. */
  deleteDetail(userId: string): Promise<void> {
    return this.#http.call('DELETE', at`/users/${userId}/detail`);
  }

  /** What one source (`calendar`, `call`, …) says of a user, in the place of what it said before. */
  putDetailSource(userId: string, source: string, body: t.DetailSaid): Promise<t.DetailSource> {
    return this.#http.call('PUT', at`/users/${userId}/detail/${source}`, { body });
  }

  /** One source says nothing of a user any more; it may have said nothing. */
  deleteDetailSource(userId: string, source: string): Promise<void> {
    return this.#http.call('DELETE', at`/users/${userId}/detail/${source}`);
  }

  getProfile(userId: string): Promise<t.Profile> {
    return this.#http.call('GET', at`/users/${userId}`);
  }

  /** Changes a profile; what is not named stays, and null takes it away. */
  updateProfile(
    userId: string,
    body: { displayName?: string | null | undefined; avatarUrl?: string | null | undefined },
  ): Promise<t.Profile> {
    return this.#http.call('PUT', at`/users/${userId}`, { body });
  }

  /** All that is kept about a user; once a minute for each. With a long history it takes minutes, and memory for all of it. */
  exportUser(userId: string): Promise<t.UserExport> {
    return this.#http.call('GET', at`/users/${userId}/export`, { timeoutMs: EXPORT_TIMEOUT_MS });
  }

  /** Erases a user everywhere. */
  eraseUser(userId: string): Promise<void> {
    return this.#http.call('DELETE', at`/users/${userId}`, { ends: true });
  }

  /** The friends of a user, as the user may see them; without `limit` and `cursor` all. */
  listFriends(userId: string, query: t.PageQuery = {}): Promise<{ friends: t.Friend[]; nextCursor?: string | null }> {
    return this.#http.call('GET', at`/users/${userId}/friends`, { query });
  }

  /** Makes two users friends of each other. */
  addFriend(userId: string, friendId: string): Promise<void> {
    return this.#http.call('PUT', at`/users/${userId}/friends/${friendId}`);
  }

  /** Ends a friendship, for both. */
  removeFriend(userId: string, friendId: string): Promise<void> {
    return this.#http.call('DELETE', at`/users/${userId}/friends/${friendId}`);
  }

  /** Says whether a user is told when a friend becomes active. */
  setFriendAlert(userId: string, friendId: string, alert: t.FriendAlert): Promise<void> {
    return this.#http.call('PATCH', at`/users/${userId}/friends/${friendId}`, { body: { alert } });
  }

  /** Whom a user blocks; without `limit` and `cursor` all. */
  listBlocks(
    userId: string,
    query: t.PageQuery = {},
  ): Promise<{ blocks: { userId: string }[]; nextCursor?: string | null }> {
    return this.#http.call('GET', at`/users/${userId}/blocks`, { query });
  }

  /** Has neither see the other any more. */
  blockUser(userId: string, blockedId: string): Promise<void> {
    return this.#http.call('PUT', at`/users/${userId}/blocks/${blockedId}`);
  }

  unblockUser(userId: string, blockedId: string): Promise<void> {
    return this.#http.call('DELETE', at`/users/${userId}/blocks/${blockedId}`);
  }

  /** Who may see a user. */
  getSettings(userId: string): Promise<t.Settings> {
    return this.#http.call('GET', at`/users/${userId}/settings`);
  }

  /** Changes who may see a user, at once; what is not named stays. */
  updateSettings(
    userId: string,
    body: { [Name in keyof t.Settings]?: t.Settings[Name] | undefined },
  ): Promise<t.Settings> {
    return this.#http.call('PUT', at`/users/${userId}/settings`, { body });
  }

  /** Who is in a room, by their ids. */
  getRoom(roomId: string, query: t.PageQuery = {}): Promise<t.RoomPage> {
    return this.#http.call('GET', at`/rooms/${roomId}`, { query });
  }

  /** How many are in each of up to 1000 rooms. */
  countRooms(roomIds: readonly string[]): Promise<{ rooms: t.RoomCount[] }> {
    return this.#http.call('POST', '/rooms/counts', { body: { roomIds } });
  }

  /** The rooms with the most users, fullest first; empty ones are not among them. */
  listRooms(query: { limit?: number | undefined } = {}): Promise<{ rooms: t.RoomCount[] }> {
    return this.#http.call('GET', '/rooms', { query });
  }

  /** The rooms a user is in, also while they appear inactive. */
  getUserRooms(userId: string): Promise<{ rooms: t.UserRoom[] }> {
    return this.#http.call('GET', at`/users/${userId}/rooms`);
  }

  /** Takes a user out of a room; they may come again. */
  removeFromRoom(roomId: string, userId: string): Promise<void> {
    return this.#http.call('DELETE', at`/rooms/${roomId}/users/${userId}`);
  }

  /** Lets a user join a conversation. */
  addConversationMember(conversationId: string, userId: string): Promise<void> {
    return this.#http.call('PUT', at`/conversations/${conversationId}/members/${userId}`);
  }

  /** Takes a user out of a conversation, at once. */
  removeConversationMember(conversationId: string, userId: string): Promise<void> {
    return this.#http.call('DELETE', at`/conversations/${conversationId}/members/${userId}`);
  }

  /** The key with which browsers subscribe to Web Push; `NOT_FOUND` where that is not set up. */
  getPushKey(): Promise<{ publicKey: string }> {
    return this.#http.call('GET', '/push/public-key');
  }

  /** Has alerts sent to a browser. With the user's own token alone. */
  subscribeToPush(userId: string, subscription: t.PushSubscriptionJson): Promise<void> {
    return this.#http.call('PUT', at`/users/${userId}/push-subscriptions`, { body: subscription });
  }

  /** Sends nothing to that browser any more. With the user's own token alone. */
  unsubscribeFromPush(userId: string, body: { endpoint: string }): Promise<void> {
    return this.#http.call('DELETE', at`/users/${userId}/push-subscriptions`, { body });
  }

  /** How many are active, and how many were within so many minutes (`1,5,15,60` by default). */
  countActiveUsers(query: { within?: string | undefined } = {}): Promise<t.ActiveCounts> {
    return this.#http.call('GET', '/analytics/active', { query });
  }

  /** Who was active within so many minutes, newest first. */
  listActiveUsers(
    query: t.PageQuery & { within?: number | undefined } = {},
  ): Promise<{ users: { userId: string; lastSeen: string }[]; nextCursor: string | null }> {
    return this.#http.call('GET', '/analytics/active-users', { query });
  }

  /** How many were active, and how many came or went; `step` in seconds, the hour before now by default. */
  getTimeline(
    query: { from?: string | undefined; to?: string | undefined; step?: number | undefined } = {},
  ): Promise<{ points: t.TimelinePoint[] }> {
    return this.#http.call('GET', '/analytics/timeline', { query });
  }

  /** When a user became active and inactive, newest first. */
  listTransitions(
    userId: string,
    query: t.PageQuery & { from?: string | undefined; to?: string | undefined } = {},
  ): Promise<{ transitions: t.Transition[]; nextCursor: string | null }> {
    return this.#http.call('GET', at`/users/${userId}/history`, { query });
  }

  /** How long a user was active on each of so many days in UTC, today last. */
  getActivity(
    userId: string,
    query: { days?: number | undefined } = {},
  ): Promise<{ days: { date: string; activeSeconds: number }[] }> {
    return this.#http.call('GET', at`/users/${userId}/activity`, { query });
  }

  /** What operators and services did to people, newest first. */
  listAudit(
    query: t.PageQuery & {
      from?: string | undefined;
      to?: string | undefined;
      actor?: string | undefined;
      subject?: string | undefined;
    } = {},
  ): Promise<{ entries: t.AuditEntry[]; nextCursor: string | null }> {
    return this.#http.call('GET', '/audit', { query });
  }

  /** One page of the change feed. `changes` goes from page to page by itself. */
  listChanges(
    query: { after?: string | undefined; limit?: number | undefined; wait?: number | undefined } = {},
  ): Promise<{ changes: (t.Change | t.RoomTold)[]; nextCursor: string }> {
    const timeoutMs = ((query.wait ?? 0) + 15) * 1000;
    return this.#http.call('GET', '/changes', { query, timeoutMs });
  }

  /**
   * Every change, in order and none left out, for as long as the loop goes on: `for await (const change of
   * rollcall.changes({ after }))`. Keep `change.cursor` once the change is dealt with, and begin with it the next time: then
   * some may come twice (drop what is not newer, by `version`), and none is missed. What has `reset: true` is no change:
   * what was before is not known any more, so take a snapshot (`queryStatuses`), then keep its cursor. What may pass is
   * waited out, for ever; anything else is thrown.
   */
  changes(options: ChangesOptions = {}): AsyncGenerator<FedChange | FedReset, void, void> {
    return follow(this.#http, options);
  }

  /**
   * Up to 1000 users (the deployment may allow fewer) as they are, and whatever becomes of them, for as long as the loop goes on:
   * `for await (const news of rollcall.watchEvents(ids))`. What has a `snapshot` replaces all from before; it comes first, and
   * after an interruption that was too long to make up for. What may pass is waited out, for ever; anything else is thrown.
   */
  watchEvents(
    userIds: readonly string[],
    options: WatchOptions = {},
  ): AsyncGenerator<WatchSnapshot | WatchedChange, void, void> {
    return watchEvents(this.#http, userIds, options);
  }

  /** That the process is alive. */
  getHealth(): Promise<{ status: 'ok' }> {
    return this.#http.call('GET', '/healthz');
  }

  /** Whether to send people there, also where it is not ready. */
  getReadiness(): Promise<t.Readiness> {
    return this.#http.call('GET', '/readyz', { takes503: true });
  }
}
