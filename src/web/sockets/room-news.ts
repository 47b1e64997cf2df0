import type { Access } from '../../presence/visibility.ts';
import type { RoomChange, RoomUser } from '../../protocol/rooms.ts';
import type { DeliveryItem } from '../../redis/delivery.ts';
import { roomUserOf } from '../../usecases/room-payloads.ts';

export type RoomItem = Extract<DeliveryItem, { kind: 'room' }>;

/** What has happened, and what one viewer may see of whom it is about. */
export interface Seen {
  item: RoomItem;
  access: Access;
}

/** What one viewer is told in a tick: of each user the last. */
export interface RoomNews {
  joined: Map<string, RoomUser>;
  changed: Map<string, RoomUser>;
  left: Set<string>;
}

/** Nothing to tell. */
export const NO_NEWS: RoomNews = { joined: new Map(), changed: new Map(), left: new Set() };

/** Whether everybody may see all of it, before and after: all are told the same. */
export function isOpenToAll({ member, was }: RoomItem): boolean {
  return member === null || (member.openness === 'open' && (was === null || was === 'open'));
}

/**
 * What all who may see everything of these users are told. `shown` has whom a viewer sees of those who do not show everything to
 * everybody, and is brought up to what is told.
 */
export function newsOf(all: readonly Seen[], shown: Map<string, Access>): RoomNews {
  const news: RoomNews = { joined: new Map(), changed: new Map(), left: new Set() };
  for (const { item, access } of all) {
    const { what, member, was } = item;
    if (member === null) continue;
    const { userId, openness } = member;
    const isOpen = openness === 'open';
    const had =
      was === 'open' || (isOpen && was === null && what !== 'joined') ? 'all' : (shown.get(userId) ?? 'nothing');
    const has = what === 'left' ? 'nothing' : isOpen ? 'all' : access;
    if (has === 'nothing') {
      shown.delete(userId);
      if (had === 'nothing') continue;
      news.left.add(userId);
      news.joined.delete(userId);
      news.changed.delete(userId);
      continue;
    }
    if (isOpen) shown.delete(userId);
    else shown.set(userId, has);
    const user = roomUserOf(member, has);
    if (what === 'joined' || had !== has) {
      news.joined.set(userId, user);
      news.changed.delete(userId);
      news.left.delete(userId);
    } else if (what === 'changed') (news.joined.has(userId) ? news.joined : news.changed).set(userId, user);
  }
  return news;
}

/** Whether there is nothing to tell. */
export function isNothing({ joined, changed, left }: RoomNews): boolean {
  return joined.size + changed.size + left.size === 0;
}

/** As it is told; `beside` is of other users than `news`. */
export function changeOfRoom(
  { roomId, version }: RoomItem,
  count: number,
  news: RoomNews,
  beside: RoomNews,
): RoomChange {
  const both = [news, beside];
  return {
    roomId,
    version,
    joined: both.flatMap(({ joined }) => [...joined.values()]),
    changed: both.flatMap(({ changed }) => [...changed.values()].map(({ since, ...rest }) => rest)),
    left: both.flatMap(({ left }) => Array.from(left, (userId) => ({ userId }))),
    count,
  };
}
