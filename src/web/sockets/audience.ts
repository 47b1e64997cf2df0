import { RollcallError } from '../../errors.ts';
import type { VersionedStatus } from '../../protocol/vocabulary.ts';
import { compareIds, type DeliveryBatch, type DeliveryListener } from '../../redis/delivery.ts';
import { shardOf } from '../../redis/keys.ts';
import { nothingSeen, type Snapshot } from '../../usecases/status-reads.ts';
import { orUnavailable } from '../../usecases/unavailable.ts';
import { Accesses } from './accesses.ts';
import { AskAgain } from './ask-again.ts';
import type { AudienceDeps } from './audience-deps.ts';
import { BlurredVersions } from './blurred-versions.ts';
import { Concerned } from './concerned.ts';
import { eachOnce, lookedAt, snapshotOfActive, ToldActive } from './everyone.ts';
import { Pictures } from './pictures.ts';
import { fateOf, type Reading, Readings } from './readings.ts';
import { watchedRooms } from './room-members.ts';
import { SnapshotFloors } from './snapshot-floors.ts';
import { ToldVersions } from './told-versions.ts';
import { NOBODY, type Picture, type Told, type Viewer } from './types.ts';
import { changeOf, insiderWording, resyncVersion, type Wording, wordingOf, wordingOfTruth } from './wording.ts';

const RESYNC_AT_ONCE = 500;

/**
 * Tells this process's sockets of those whom they watch. A watch is: check, hold back what comes, read, show, let through what is
 * newer than what was shown. So there is no gap before the first event, and no event from before the picture.
 */
export class Audience implements DeliveryListener {
  readonly #deps: AudienceDeps;
  readonly #pictures = new Pictures();
  readonly #concerned: Concerned;
  readonly #floors = new SnapshotFloors();
  readonly #active = new ToldActive();
  readonly #versions = new ToldVersions();
  readonly #blurred = new BlurredVersions();
  /** Users that could not be known while PostgreSQL was away follow as events. */
  readonly #askAgain: AskAgain;
  readonly #readings = new Readings();
  /** What is known for the batch that is being handed on. */
  #accesses: Accesses;

  constructor(deps: AudienceDeps) {
    this.#deps = deps;
    this.#accesses = new Accesses(deps.reads);
    const { rooms, conversationRooms } = deps;
    this.#concerned = new Concerned(rooms, conversationRooms, this.#pictures);
    this.#askAgain = new AskAgain((userIds) => this.#retell(userIds), rooms.isWatched.bind(rooms), RESYNC_AT_ONCE);
  }

  async stop(): Promise<void> {
    this.#deps.rooms.stop();
    await this.#askAgain.stop();
  }

  /** Whether there are users of whom watchers are still to be told something that no batch will bring. */
  get owes(): boolean {
    return this.#askAgain.owes;
  }

  /** Begins a picture of these users (null: everyone who is active). Throws TOO_MANY_WATCHED or UNAVAILABLE. */
  async look(viewer: Viewer, userIds: string[] | null): Promise<Picture> {
    const { reads, everybody, maxWatched } = this.#deps;
    const wanted = userIds === null ? null : new Set(userIds);
    if (wanted) this.#admit(viewer, wanted);
    const picture: Picture = { viewer, userIds: wanted, covered: new Set(wanted), held: [], snapshot: nothingSeen() };
    this.#pictures.begin(picture);
    try {
      if (wanted) picture.snapshot = await reads.snapshot([...wanted], viewer.userId);
      else {
        const seen = await orUnavailable(() => snapshotOfActive(reads, everybody(), viewer.userId, maxWatched));
        Object.assign(picture, seen);
      }
      // Whoever came meanwhile is told of by an event, which has to be newer than the picture.
      const { users, unsure, hidden } = picture.snapshot;
      for (const user of users) if (unsure.has(user.userId) && user.version > 0) user.version--;
      for (const user of users) Object.assign(user, hidden.has(user.userId) && { detail: hidden.get(user.userId) });
      return picture;
    } catch (error) {
      this.#pictures.end(picture);
      this.#release(picture);
      throw error;
    }
  }

  /** The viewer is gone, or is not let in: its pictures are not going to be shown. */
  drop(viewer: Viewer): void {
    this.#pictures.drop(viewer);
  }

  /** From now on the viewer is told of changes. Call in the same tick in which the picture was sent. */
  show(picture: Picture): void {
    const { viewer, userIds, covered, snapshot } = picture;
    this.#pictures.end(picture);
    if (!viewer.socket.connected) return;
    const now = this.#deps.now();
    for (const { userId, version } of snapshot.users) {
      this.#versions.note(userId, version, now);
      this.#readings.shown(userId, version);
      if (version === 0 && snapshot.restricted.has(userId)) this.#blurred.noteCounting(viewer, userId);
    }
    if (userIds) {
      viewer.watching ??= NOBODY;
      if (userIds.size > 0) viewer.watching = viewer.watching.union(userIds);
      this.#deps.rooms.watch(viewer, userIds);
      this.#askAgain.add(snapshot.pending);
    } else if (this.#deps.everyone) {
      this.#deps.rooms.watchEveryone(viewer);
      for (const user of snapshot.users) this.#active.note(user);
    }
    for (const [shard, position] of snapshot.positions) {
      // Of two pictures asked for at once the later answer may be the older one: it is from there that events count.
      this.#floors.lift(shard, viewer, userIds ?? []);
      if (compareIds(this.#deps.delivered(shard), position) < 0) {
        this.#floors.add(shard, { viewer, userIds: new Set(covered), position });
      }
    }
    this.#release(picture);
  }

  /** Tells what was held back and is newer than the picture. */
  #release(picture: Picture): void {
    for (const { change } of this.#pictures.newerThan(picture)) this.#deps.rooms.tellOne(picture.viewer, change);
  }

  /** Tells the viewer of these users no more. */
  unwatch(viewer: Viewer, userIds: string[]): void {
    // Whoever said whom it watches is told of those only, even of nobody.
    const left = (viewer.watching ?? NOBODY).difference(new Set(userIds));
    viewer.watching = left.size > 0 ? left : NOBODY;
    this.#deps.rooms.unwatch(viewer, userIds);
    this.#pictures.unwatch(viewer, userIds);
  }

  async prepare({ items }: DeliveryBatch): Promise<void> {
    const accesses = new Accesses(this.#deps.reads);
    this.#accesses = accesses;
    const restricted = items.flatMap((item) => (item.kind === 'change' && item.change.restricted ? [item.change] : []));
    const indicators = items.filter((item) => item.kind === 'indicator');
    const ofRooms = this.#deps.roomMembers.audience.wanted(items.filter((item) => item.kind === 'room'));
    if (restricted.length + indicators.length + ofRooms.size === 0) return;
    await accesses.learn(() => {
      const wanted = this.#concerned.by(restricted);
      for (const { conversationId, userId } of indicators) {
        const viewerIds = wanted.get(userId) ?? new Set();
        for (const viewerId of this.#deps.conversationRooms.listeners(conversationId)) viewerIds.add(viewerId);
        wanted.set(userId, viewerIds);
      }
      const inRooms = this.#deps.roomMembers.audience.wanted(items.filter((item) => item.kind === 'room'));
      for (const [userId, viewerIds] of inRooms) wanted.set(userId, viewerIds.union(wanted.get(userId) ?? NOBODY));
      return wanted;
    });
    // Those who may see them are told once it is known who that is.
    this.#askAgain.add([...accesses.unknown]);
  }

  onBatch({ shard, items }: DeliveryBatch): void {
    const { connections, conversationRooms, roomMembers } = this.#deps;
    const accesses = this.#accesses;
    for (const item of items) {
      if (item.kind === 'close') connections.close(item.conns, item.reason);
      else if (item.kind === 'indicator') conversationRooms.tell(item, accesses);
      else if (item.kind === 'expelled') conversationRooms.expel(item.conversationId, item.userId);
      else if (item.kind === 'alert') this.#deps.rooms.alert(item.askerId, item);
      else if (item.kind === 'put_out') roomMembers.putOut(item);
      else if (item.kind === 'change') {
        const change = changeOf(item.change);
        const told = { id: item.id, shard, change, insider: insiderWording(item.change, change) };
        this.#tell(told, wordingOf(item.change, accesses, this.#blur()));
        conversationRooms.onChange(item.change, accesses);
      }
    }
    roomMembers.audience.tell(
      items.filter((item) => item.kind === 'room'),
      accesses,
    );
    this.#floors.pass(shard, items.at(-1)?.id ?? '0-0');
  }

  onGap(): void {
    this.#deps.conversationRooms.missed();
    this.#deps.missed();
  }

  /** Tells everybody here who watches what is true now. */
  async resync(): Promise<void> {
    const { rooms, everybody, maxWatched } = this.#deps;
    const ids = new Set([...rooms.watched(), ...this.#active.userIds]);
    if (rooms.hasEveryone) {
      for await (const page of eachOnce(everybody(), lookedAt(maxWatched))) for (const userId of page) ids.add(userId);
    }
    const all = [...ids];
    for (let n = 0; n < all.length; n += RESYNC_AT_ONCE) await this.#retell(all.slice(n, n + RESYNC_AT_ONCE));
    await this.#deps.roomMembers.audience.resync();
  }

  /** Counts before anything is read: a watch is taken whole or not at all. */
  #admit(viewer: Viewer, wanted: Set<string>): void {
    const watching = viewer.watching ?? NOBODY;
    const further = new Set([...this.#pictures.askedFor(viewer), ...wanted]).difference(watching);
    if (watching.size + further.size + watchedRooms(viewer.socket) > this.#deps.maxWatched) {
      throw new RollcallError('TOO_MANY_WATCHED', {
        message: `At most ${this.#deps.maxWatched} users can be watched by one connection; unwatch some first.`,
      });
    }
  }

  #tell(told: Told, wording: Wording | null): void {
    const { id, shard, change } = told;
    // Who does not hear of it may have an older picture, of before Redis lost who sees whom: the next resync tells all of them.
    this.#noteTold(change, wording !== null && change.status === 'inactive');
    this.#readings.told(change.userId, id);
    const shown = this.#floors.sawIt(shard, id, change.userId);
    if (shown === 'everybody') return;
    this.#spread(told, wording, shown);
  }

  /** To all who are to hear of it; `wording` where not everybody hears the same. */
  #spread(told: Told, wording: Wording | null, shown: Viewer[]): void {
    const { rooms } = this.#deps;
    const { change, insider } = told;
    const skipped = [...shown, ...this.#pictures.hold(told, wording)];
    if (wording) rooms.tellEach(change.userId, wording, skipped);
    else rooms.tell(change, skipped, insider);
  }

  /** Reads some users anew and tells their watchers, except of whom something newer was told meanwhile. */
  async #retell(userIds: string[]): Promise<void> {
    for (let left = userIds; left.length > 0; ) left = await this.#retellOnce(left);
  }

  /** Returns of whom a picture has shown something newer meanwhile, so that they have to be read again. */
  async #retellOnce(userIds: string[]): Promise<string[]> {
    const reading = this.#readings.begin();
    // What happens from now on must be newer than what is told of it, however long the answer takes.
    const { now: readAt } = this.#blur();
    try {
      const { reads } = this.#deps;
      const snapshot = await reads.snapshot(userIds, null);
      const accesses = new Accesses(reads);
      await accesses.learn(() => this.#concerned.viewersOf(snapshot.restricted));
      // Nothing is said of those of whom it is not known who may see them.
      snapshot.users = snapshot.users.filter((user) => !accesses.unknown.has(user.userId));
      snapshot.pending.push(...accesses.unknown);
      return this.#tellSnapshot(snapshot, reading, accesses, readAt);
    } finally {
      this.#readings.end(reading);
    }
  }

  #tellSnapshot(
    { users, pending, positions, restricted, hidden }: Snapshot,
    reading: Reading,
    accesses: Accesses,
    readAt: number,
  ): string[] {
    const again: string[] = [];
    const userIds = new Set(users.map((user) => user.userId));
    for (const [shard, position] of positions) {
      if (compareIds(this.#deps.delivered(shard), position) < 0)
        this.#floors.add(shard, { viewer: null, userIds, position });
    }
    for (const user of users) {
      const [{ userId }, shard] = [user, shardOf(user.userId)];
      const position = positions.get(shard) ?? '0-0';
      const fate = fateOf(reading, userId, position, user.version);
      if (fate === 'again') again.push(userId);
      if (fate !== 'tell') continue;
      this.#readings.told(userId, position);
      // Of whom nobody knows anything, something may have been told before: they were erased.
      const version = this.#versions.notBefore(userId, user.version || resyncVersion(0, readAt));
      // What changed is not known here, so all of it is told.
      const change = { ...user, version, detail: user.detail ?? {} };
      const isRestricted = restricted.has(userId);
      const said = hidden.get(userId);
      const insider = said ? { ...change, detail: said } : change;
      const wording = isRestricted ? wordingOfTruth(change, insider, accesses, { ...this.#blur(), readAt }) : null;
      this.#noteTold({ ...user, version: isRestricted ? resyncVersion(version, readAt) : version });
      this.#spread({ id: position, shard, change, insider }, wording, []);
    }
    this.#askAgain.add(pending);
    return again;
  }

  #blur() {
    return { blurred: this.#blurred, now: this.#deps.now() || Date.now() };
  }

  #noteTold(user: VersionedStatus, isForSome = false): void {
    this.#versions.note(user.userId, user.version, this.#deps.now());
    if (this.#deps.everyone && !isForSome) this.#active.note(user);
  }
}
