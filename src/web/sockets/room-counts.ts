import type { Rooms } from '../../usecases/rooms.ts';
import { Frame } from './frames.ts';
import type { RoomItem } from './room-news.ts';
import type { RoomViewer } from './types.ts';

/** So many are told in a turn of the event loop: a room of many thousand must not keep those waiting who are told of others. */
const AT_ONCE = 200;

/** A count that is on its way to those who watch a room; a newer one takes its place. */
interface Telling {
  count: RoomItem;
  readonly left: Set<RoomViewer>;
  /** By what is said in them: all who are told the same share one. */
  frames: Map<number, Frame>;
}

/** Tells those who watch big rooms how many are there. */
export class RoomCounts {
  readonly #rooms: Pick<Rooms, 'counts'>;
  readonly #limit: number;
  readonly #has: (viewer: RoomViewer) => boolean;
  readonly #tellings = new Map<string, Telling>();

  /** `limit`: above so many users a room is told as a count; `has`: whether a connection is still told of its room. */
  constructor(rooms: Pick<Rooms, 'counts'>, limit: number, has: (viewer: RoomViewer) => boolean) {
    this.#rooms = rooms;
    this.#limit = limit;
    this.#has = has;
  }

  /** Tells all of these, the first of them at once. Who is told a newer count or is about to be shown a picture by then is not told this one. */
  tell(count: RoomItem, viewers: Iterable<RoomViewer>): void {
    const { roomId } = count;
    const telling = this.#tellings.get(roomId);
    if (telling) {
      telling.count = count;
      telling.frames = new Map();
      for (const viewer of viewers) telling.left.add(viewer);
      return;
    }
    const begun = { count, left: new Set(viewers), frames: new Map() };
    this.#tellings.set(roomId, begun);
    this.#tellSome(roomId, begun);
  }

  #tellSome(roomId: string, telling: Telling): void {
    let told = 0;
    for (const viewer of telling.left) {
      if (told++ === AT_ONCE) {
        setImmediate(() => this.#tellSome(roomId, telling));
        return;
      }
      telling.left.delete(viewer);
      if (this.#has(viewer)) this.tellOne(viewer, telling.count, telling.frames);
    }
    this.#tellings.delete(roomId);
  }

  /** Tells one viewer, unless its picture is newer; of one that is about to be shown a picture it is held back. */
  tellOne(viewer: RoomViewer, item: RoomItem, frames = new Map<number, Frame>()): void {
    const { roomId, version, counts } = item;
    const { viewerId, socket } = viewer;
    if (viewer.version === null) {
      viewer.held.push({ item, access: 'all' });
      return;
    }
    if (version <= viewer.version) return;
    viewer.shown.clear();
    const tell = (count: number) => {
      // That it is as it was would tell of those whom the viewer may not see.
      if (viewer.counted === count) return;
      viewer.counted = count;
      const frame = frames.get(count) ?? Frame.of('room_change', { roomId, version, count });
      frames.set(count, frame);
      frame.sendTo(socket);
    };
    if (viewerId === null) tell(counts.all);
    else if (counts.all > this.#limit || counts.all === counts.open) tell(counts.everyone);
    else
      this.#rooms.counts(viewerId, [roomId]).then(
        ([room]) => room && tell(room.count),
        () => {},
      );
  }
}
