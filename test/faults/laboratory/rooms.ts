import { rest, tokenFor } from '../../support/client.ts';
import { Allowances } from './allowances.ts';
import { type Finding, ghosts, lostForGood, type Scene, seconds } from './checks.ts';
import { within } from './device.ts';
import { mayHide, uncovered } from './evidence.ts';
import type { Person } from './person.ts';
import { RoomWatcher } from './room-watcher.ts';
import { ROOMS } from './schedule.ts';
import { possiblyThere, surelyThere } from './stays.ts';
import { HANDOVER_MS, type World } from './world.ts';

/** The rooms of a laboratory, with somebody at every web who watches them. */
export class LaboratoryRooms {
  readonly roomIds: string[];
  readonly watchers: RoomWatcher[];
  readonly #world: World;

  constructor(world: World, prefix: string) {
    this.#world = world;
    this.roomIds = Array.from({ length: ROOMS }, (_, n) => `${prefix}doc:${n}`);
    this.watchers = world.webs.map((web) => new RoomWatcher(web, this.roomIds));
  }

  start(): void {
    for (const watcher of this.watchers) watcher.start();
  }

  stop(): void {
    for (const watcher of this.watchers) watcher.stop();
  }

  /** Where watchers and REST, of every web, say something else of who is in a room than what people do; and where truth does. */
  async differing(people: readonly Person[]): Promise<Finding[]> {
    const token = await tokenFor('observer', { scope: 'presence:read' });
    const ask = async (port: number, path: string) => {
      const answer = await within(rest(`http://127.0.0.1:${port}`, 'GET', path, { token }), 3000);
      return answer?.status === 200 ? answer.body : null;
    };
    const now = Date.now();
    const isHere = (person: Person, roomId: string) =>
      person.devices.some(({ alive, rooms }) => alive && rooms.has(roomId)) ||
      surelyThere(this.#world, person, roomId, now) !== null;
    const mayBeHere = (person: Person, roomId: string) =>
      possiblyThere(this.#world, person, roomId).some(({ from, to }) => from <= now && to >= now);
    const found: string[] = [];
    for (const roomId of this.roomIds) {
      const visible = people.filter((person) => person.hiddenAt(now) === false);
      const [sure, possible] = [isHere, mayBeHere].map(
        (one) => new Set(visible.filter((person) => one(person, roomId)).map(({ userId }) => userId)),
      );
      const compare = (who: string, userIds: Iterable<string> | null) =>
        found.push(...differing(`${who} has in ${roomId}`, { seen: userIds, sure, possible }));
      for (const watcher of this.watchers) compare(watcher.label, watcher.view.get(roomId) ?? null);
      for (const web of this.#world.webs) {
        const body = await ask(web.port, `/rooms/${roomId}`);
        compare(`REST of ${web.name}`, body?.users.map(({ userId }: { userId: string }) => userId) ?? null);
      }
    }
    const [web] = this.#world.webs;
    for (const person of people) {
      const [sure, possible] = [isHere, mayBeHere].map(
        (one) => new Set(this.roomIds.filter((roomId) => one(person, roomId))),
      );
      const body = await ask(web?.port ?? 0, `/users/${person.userId}/rooms`);
      const seen = (body?.rooms ?? []).map(({ roomId }: { roomId: string }) => roomId);
      found.push(...differing(`${person.userId} is by its own sessions in`, { seen, sure, possible }));
    }
    return found.map((text) => ({ kind: 'rooms', text }));
  }

  /** What can be judged from all that was told: nobody stays beyond their time, nobody who is there is told as left, versions grow. */
  judge(scene: Scene): Finding[] {
    const back = this.watchers.flatMap(({ label, violations }) =>
      violations
        .filter(({ at }) => !lostForGood(scene, at))
        .map(({ text }): Finding => ({ kind: 'order', text: `${label}: ${text}` })),
    );
    return [...back, ...ghosts(scene, this.watchers), ...this.#stayed(scene), ...this.#falselyLeft(scene)];
  }

  /** Nobody is shown in a room beyond the end of what holds them there, and 2 s. */
  #stayed(scene: Scene): Finding[] {
    const now = Date.now();
    const found: Finding[] = [];
    for (const person of scene.people) {
      const possible = new Map(this.roomIds.map((roomId) => [roomId, possiblyThere(this.#world, person, roomId)]));
      for (const watcher of this.watchers) {
        const allowed = new Allowances(scene, watcher.web, person.longestTtlMs + HANDOVER_MS);
        for (const shown of watcher.shown(now).filter(({ userId }) => userId === person.userId)) {
          for (const gap of uncovered(shown, possible.get(shown.roomId) ?? [])) {
            if (!allowed.isLate(allowed.startOf(gap.from), gap.to)) continue;
            const text = `${watcher.label} saw ${person.userId} in ${shown.roomId} until ${seconds(scene, gap.to)}, where nothing holds them from ${seconds(scene, gap.from)} on`;
            found.push({ kind: 'rooms', text });
          }
        }
      }
    }
    return found;
  }

  #falselyLeft(scene: Scene): Finding[] {
    const found: Finding[] = [];
    for (const { label, left } of this.watchers) {
      for (const { roomId, userId, version, at } of left) {
        const person = scene.people.find((one) => one.userId === userId);
        if (!person || mayHide(person, version)) continue;
        const holder = surelyThere(this.#world, person, roomId, version);
        if (holder === null) continue;
        const text = `${label} was told at ${seconds(scene, at)} that ${userId} left ${roomId}, where ${holder} is`;
        found.push({ kind: 'rooms', text });
      }
    }
    return found;
  }
}

interface Comparison {
  seen: Iterable<string> | null;
  sure: ReadonlySet<string> | undefined;
  possible: ReadonlySet<string> | undefined;
}

/** Who is certainly there has to be seen, and nobody else but who may be. */
function differing(what: string, { seen, sure = new Set(), possible = new Set() }: Comparison): string[] {
  if (seen === null) return [`${what}: nothing`];
  const there = new Set(seen);
  if (sure.isSubsetOf(there) && there.isSubsetOf(possible.union(sure))) return [];
  return [`${what} [${namesOf(there)}]; [${namesOf(sure)}] are, [${namesOf(possible)}] may be`];
}

const namesOf = (ids: Iterable<string>) => [...ids].sort().join(' ');
