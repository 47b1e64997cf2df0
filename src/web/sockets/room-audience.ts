import { RollcallError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { Access } from '../../presence/visibility.ts';
import type { Rooms } from '../../usecases/rooms.ts';
import type { Accesses } from './accesses.ts';
import { Frame } from './frames.ts';
import { RoomCounts } from './room-counts.ts';
import { changeOfRoom, isNothing, isOpenToAll, NO_NEWS, newsOf, type RoomItem, type Seen } from './room-news.ts';
import type { PresenceSocket, RoomLook, RoomViewer } from './types.ts';

/** A room whose viewers could not all be told, or who may see it could not be known, is read anew after this. */
const AGAIN_MS = 1000;

/** A viewer that is about to be shown a picture; `version`: of the one that it has, null where it has none. */
interface Begun {
  viewer: RoomViewer;
  reading: object;
  version: number | null;
}

/** Tells this process's sockets of the rooms that they watch or are in. */
export class RoomAudience {
  readonly #rooms: Rooms;
  readonly #log: Logger;
  readonly #counts: RoomCounts;
  readonly #viewers = new Map<string, Set<RoomViewer>>();
  readonly #again = new Map<string, NodeJS.Timeout>();
  #stopped = false;

  /** `limit`: above so many users a room is told as a count. */
  constructor(rooms: Rooms, log: Logger, limit: number) {
    this.#rooms = rooms;
    this.#log = log;
    this.#counts = new RoomCounts(rooms, limit, (viewer) => this.has(viewer));
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#again.values()) clearTimeout(timer);
    this.#again.clear();
    this.#rooms.stop();
  }

  /** The connection as a viewer of a room, which from now on is about to be shown a picture of it. */
  begin(socket: PresenceSocket, roomId: string): Begun {
    const { caller, viewer: whole } = socket.data;
    socket.data.rooms ??= new Map();
    let viewer = socket.data.rooms.get(roomId);
    if (!viewer) {
      viewer = {
        roomId,
        socket,
        viewerId: caller.service ? null : whole.userId,
        there: false,
        watching: false,
        ...nothingYet(),
      };
      socket.data.rooms.set(roomId, viewer);
      const viewers = this.#viewers.get(roomId) ?? new Set();
      viewers.add(viewer);
      this.#viewers.set(roomId, viewers);
    }
    const { version } = viewer;
    return { viewer, reading: this.#hold(viewer), version };
  }

  /** The picture was sent: what happens from now on is told, and what has happened since it was taken. */
  show({ viewer, reading, room, shown }: RoomLook): void {
    if (viewer.reading !== reading) return;
    const { held } = viewer;
    const counted = room.users ? null : room.count;
    Object.assign(viewer, { ...nothingYet(), counted, shown, version: room.version });
    this.#tell(viewer, held);
  }

  /** There is no picture: who was not told of the room before is not, and who was is told on. */
  fail({ viewer, reading, version }: Begun): void {
    if (!viewer.there && !viewer.watching) this.drop(viewer);
    else if (viewer.reading !== reading) return;
    else if (version === null) this.#refreshLater(viewer.roomId);
    else {
      const { held } = viewer;
      Object.assign(viewer, { held: [], reading: null, version });
      this.#tell(viewer, held);
    }
  }

  /** Whether the connection is still told of the room, or about to be. */
  has(viewer: RoomViewer): boolean {
    return viewer.socket.data.rooms?.get(viewer.roomId) === viewer;
  }

  /** The connection is not told of the room any more. */
  drop(viewer: RoomViewer): void {
    const { socket, roomId } = viewer;
    if (socket.data.rooms?.get(roomId) === viewer) socket.data.rooms.delete(roomId);
    viewer.reading = null;
    const viewers = this.#viewers.get(roomId);
    if (viewers?.delete(viewer) && viewers.size === 0) this.#viewers.delete(roomId);
  }

  /** Those here who are to hear of what has happened, by whom it is about; of what all may see nobody. */
  wanted(items: readonly RoomItem[]): Map<string, Set<string>> {
    const wanted = new Map<string, Set<string>>();
    for (const { member, what, roomId } of items) {
      if (!member || member.openness === 'open' || what === 'left') continue;
      const viewerIds = wanted.get(member.userId) ?? new Set<string>();
      for (const { viewerId } of this.#viewers.get(roomId) ?? []) if (viewerId !== null) viewerIds.add(viewerId);
      if (viewerIds.size > 0) wanted.set(member.userId, viewerIds);
    }
    return wanted;
  }

  /** Tells what has happened in rooms, all of a tick at once. */
  tell(items: readonly RoomItem[], accesses: Accesses): void {
    for (const [roomId, some] of Map.groupBy(items, (item) => item.roomId)) {
      const viewers = this.#viewers.get(roomId);
      if (viewers) this.#tellRoom(roomId, viewers, some, accesses);
    }
  }

  /** Shows everybody here their rooms anew, for something may have been missed. */
  async resync(): Promise<void> {
    for (const roomId of [...this.#viewers.keys()]) await this.#refresh(roomId);
  }

  #tellRoom(roomId: string, viewers: ReadonlySet<RoomViewer>, items: readonly RoomItem[], accesses: Accesses): void {
    if (items.some(({ what }) => what === 'full')) {
      void this.#refresh(roomId);
      return;
    }
    // Of whom some may see less than all, or could: each is told what is true for them.
    const apart = new Set(items.flatMap((item) => (isOpenToAll(item) ? [] : (item.member?.userId ?? []))));
    if ([...apart].some((userId) => accesses.unknown.has(userId))) this.#refreshLater(roomId);
    const isApart = ({ member }: RoomItem) => member !== null && apart.has(member.userId);
    const seen =
      (viewerId: string | null) =>
      (item: RoomItem): Seen => ({
        item,
        access: item.member === null ? 'all' : accesses.of(item.member.userId, viewerId),
      });
    const last = items.at(-1) as RoomItem;
    const count = items.findLast(({ what }) => what === 'count');
    if (count) {
      for (const viewer of viewers) if (viewer.version === null) viewer.held.push(...items.map(seen(viewer.viewerId)));
      this.#counts.tell(
        count,
        [...viewers].filter(({ version }) => version !== null),
      );
      return;
    }
    const together = newsOf(items.filter((item) => !isApart(item)).map(seen(null)), new Map());
    const apartItems = items.filter(isApart);
    const frames = new Map<string | number, Frame>();
    for (const viewer of viewers) {
      const { viewerId, version } = viewer;
      if (version === null) {
        viewer.held.push(...items.map(seen(viewerId)));
      } else if ((items[0]?.version ?? 0) <= version) {
        this.#tell(viewer, items.map(seen(viewerId)));
      } else {
        const beside = apartItems.length === 0 ? NO_NEWS : newsOf(apartItems.map(seen(viewerId)), viewer.shown);
        const isSame = isNothing(beside);
        if (isSame && isNothing(together)) continue;
        const counted = this.#countOf(viewer, last);
        const encode = () => JSON.stringify(changeOfRoom(last, counted, together, beside));
        const json = isSame ? null : encode();
        const frame = frames.get(json ?? counted) ?? new Frame('room_change', json ?? encode());
        frames.set(json ?? counted, frame);
        frame.gatherFor(viewer.socket);
      }
    }
  }

  /** Tells one viewer what it has not been told, all of it apart. */
  #tell(viewer: RoomViewer, all: readonly Seen[]): void {
    const fresh = all.filter(({ item }) => item.version > (viewer.version ?? 0));
    const last = fresh.at(-1)?.item;
    if (!last) return;
    if (fresh.some(({ item }) => item.what === 'full')) {
      void this.#refresh(viewer.roomId);
      return;
    }
    const counted = fresh.findLast(({ item }) => item.what === 'count')?.item;
    if (counted) {
      this.#counts.tellOne(viewer, counted);
      return;
    }
    const news = newsOf(fresh, viewer.shown);
    if (isNothing(news)) return;
    const change = changeOfRoom(last, this.#countOf(viewer, last), news, NO_NEWS);
    Frame.of('room_change', change).sendTo(viewer.socket);
  }

  #countOf({ viewerId, shown }: RoomViewer, { counts }: RoomItem): number {
    return viewerId === null ? counts.all : counts.open + shown.size;
  }

  #hold(viewer: RoomViewer): object {
    const reading = {};
    Object.assign(viewer, { version: null, reading });
    return reading;
  }

  #refreshLater(roomId: string): void {
    if (this.#stopped || this.#again.has(roomId)) return;
    const timer = setTimeout(() => {
      this.#again.delete(roomId);
      void this.#refresh(roomId);
    }, AGAIN_MS);
    this.#again.set(roomId, timer);
  }

  /** Sends every viewer here a whole picture of the room. Never throws. */
  async #refresh(roomId: string): Promise<void> {
    const looks = Array.from(this.#viewers.get(roomId) ?? [], (viewer) => ({ viewer, reading: this.#hold(viewer) }));
    if (looks.length === 0 || this.#stopped) return;
    try {
      const picture = await this.#rooms.read(roomId);
      for (const [viewerId, some] of Map.groupBy(looks, ({ viewer }) => viewer.viewerId)) {
        const { room, shown } = await this.#rooms.see(viewerId, picture, { anyway: true });
        const frame = Frame.of('room_change', room);
        for (const look of some) {
          if (look.viewer.reading !== look.reading) continue;
          frame.sendTo(look.viewer.socket);
          this.show({ ...look, room, shown: new Map(shown) });
        }
      }
    } catch (error) {
      if (!(error instanceof RollcallError)) this.#log.error({ err: error, roomId }, 'A room could not be shown anew');
      this.#refreshLater(roomId);
    }
  }
}

const nothingYet = () => ({ shown: new Map<string, Access>(), counted: null, version: null, held: [], reading: null });
