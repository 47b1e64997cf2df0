import { rest, tokenFor } from '../../support/client.ts';
import { type Finding, ghosts, lostForGood, type Scene } from './checks.ts';
import { within } from './device.ts';
import { mayHide, surelyHeld } from './evidence.ts';
import type { Person } from './person.ts';
import { RoomWatcher } from './room-watcher.ts';
import { ROOMS } from './schedule.ts';
import type { World } from './world.ts';

/** Between the answer to a join and what a web tells of it, around two readings of the clock. */
const SLACK_MS = 300;

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
    const here = (person: Person, roomId: string) =>
      person.devices.some(({ alive, rooms }) => alive && rooms.has(roomId));
    const found: string[] = [];
    for (const roomId of this.roomIds) {
      const visible = people.filter((person) => here(person, roomId) && person.hiddenAt(Date.now()) === false);
      const expected = namesOf(visible.map(({ userId }) => userId));
      const compare = (who: string, userIds: Iterable<string> | null) => {
        const seen = userIds === null ? 'nothing' : namesOf(userIds);
        if (seen !== expected) found.push(`${who} has [${seen}] in ${roomId}, where [${expected}] are`);
      };
      for (const watcher of this.watchers) compare(watcher.label, watcher.view.get(roomId) ?? null);
      for (const web of this.#world.webs) {
        const body = await ask(web.port, `/rooms/${roomId}`);
        compare(`REST of ${web.name}`, body?.users.map(({ userId }: { userId: string }) => userId) ?? null);
      }
    }
    const [web] = this.#world.webs;
    for (const person of people) {
      const expected = namesOf(this.roomIds.filter((roomId) => here(person, roomId)));
      const body = await ask(web?.port ?? 0, `/users/${person.userId}/rooms`);
      const seen = namesOf((body?.rooms ?? []).map(({ roomId }: { roomId: string }) => roomId));
      if (seen !== expected)
        found.push(`${person.userId} is in [${seen}] by its own sessions, which are in [${expected}]`);
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
    return [...back, ...ghosts(scene, this.watchers), ...this.#falselyLeft(scene)];
  }

  #falselyLeft({ people, begun }: Scene): Finding[] {
    const found: Finding[] = [];
    for (const { label, left } of this.watchers) {
      for (const { roomId, userId, version, at } of left) {
        const person = people.find((one) => one.userId === userId);
        if (!person || mayHide(person, version)) continue;
        const device = person.devices.find(
          (one) =>
            surelyHeld(this.#world, one, version) &&
            one.stays.some(
              (stay) => stay.roomId === roomId && stay.from + SLACK_MS <= version && stay.to - SLACK_MS >= version,
            ),
        );
        if (!device) continue;
        const seconds = ((at - begun) / 1000).toFixed(2);
        found.push({
          kind: 'rooms',
          text: `${label} was told at ${seconds} s that ${userId} left ${roomId}, where ${device.deviceId} is`,
        });
      }
    }
    return found;
  }
}

const namesOf = (ids: Iterable<string>) => [...ids].sort().join(' ');
