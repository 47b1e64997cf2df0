import { useEffect, useMemo, useSyncExternalStore } from 'react';
import { usePresenceClient } from './react.tsx';
import { type Room, type RoomData, type RoomView, type WatchedRoom, withRooms } from './rooms.ts';

/**
 * Comes to a room while mounted: who is there, how many, the signed-in user as the others see them, and `update`, which replaces what they
 * see of `data`. A new `data` replaces it, too.
 */
export function usePresenceRoom(
  roomId: string,
  { data }: { data?: RoomData | undefined } = {},
): RoomView & Pick<Room, 'update'> {
  const client = usePresenceClient();
  const store = useMemo(() => {
    const { room } = withRooms(client);
    const unknown: RoomView = { roomId, users: [], count: undefined, me: undefined, error: undefined };
    let held: Room | undefined;
    return {
      unknown,
      get: () => held?.get() ?? unknown,
      update: (data: RoomData) => held?.update(data),
      subscribe(changed: () => void) {
        const mine = room(roomId);
        const end = mine.subscribe(changed);
        held = mine;
        return () => {
          end();
          mine.leave();
        };
      },
    };
  }, [client, roomId]);
  const view = useSyncExternalStore(store.subscribe, store.get, () => store.unknown);
  // The same said anew is nothing new.
  const text = JSON.stringify(data);
  useEffect(() => {
    if (text !== undefined) store.update(JSON.parse(text));
  }, [store, text]);
  return { ...view, update: store.update };
}

/** How many are in a room, undefined until it is known. Looks at it without being there, and renders again only when the number changes. */
export function useRoomCount(roomId: string): number | undefined {
  const client = usePresenceClient();
  const store = useMemo(() => {
    const { watchRoom } = withRooms(client);
    let watching: WatchedRoom | undefined;
    return {
      subscribe(changed: () => void) {
        const watched = watchRoom(roomId);
        const end = watched.subscribe(changed);
        watching = watched;
        return () => {
          end();
          watched.unwatch();
        };
      },
      get: () => watching?.get().count,
    };
  }, [client, roomId]);
  return useSyncExternalStore(store.subscribe, store.get, () => undefined);
}
