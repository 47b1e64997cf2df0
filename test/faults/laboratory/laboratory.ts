import { type Finding, judgeHistory, judgeLogs, type Scene } from './checks.ts';
import { Circle } from './circle.ts';
import { judgeCircle } from './circle-checks.ts';
import { differingInCircle } from './circle-now.ts';
import type { CircleSize } from './circle-schedule.ts';
import { differingDetails } from './details-now.ts';
import { judgeDetails } from './details-told.ts';
import { lastOfTheGone, lastSeenOf, mayHide } from './evidence.ts';
import { Person } from './person.ts';
import { LaboratoryRooms } from './rooms.ts';
import { LastSeenWatch, leftovers, maintain, readPostgres, withoutJob } from './stores.ts';
import { judgeErasures } from './traces.ts';
import { differingViews } from './views-now.ts';
import { Watcher } from './watcher.ts';
import { HANDOVER_MS, MOVED_MS, TTL_MS, WITHIN_MS, World, type WorldOptions } from './world.ts';

export interface LaboratoryOptions extends WorldOptions {
  /** A world that is there already, and stays; else the laboratory has one of its own. */
  world?: World;
  people?: number;
  /** Users who allow each other this and that; none where nothing is said. */
  circle?: CircleSize;
  /** TTLs of the people's first devices, one after the other, and then from the first again; null: the configured one. */
  ownTtlsMs?: readonly (number | null)[];
  /** Before every id, so that people of different runs are different people. */
  prefix?: string;
}

/** How long clients take to be let in again after everything is up. */
const BACK_IN_MS = 10_000;
const SETTLE_MARGIN_MS = 5000;

/** A world with people in it and watchers around it; what is found in it is collected in `findings`. */
export class Laboratory {
  readonly world: World;
  readonly people: Person[];
  readonly watchers: Watcher[];
  readonly circle: Circle | null;
  readonly rooms: LaboratoryRooms;
  readonly findings: Finding[] = [];
  /** What was done when, for whoever reads a finding. */
  readonly journal: string[] = [];
  readonly begun = Date.now();
  readonly #lastSeen: LastSeenWatch;
  readonly #ownsWorld: boolean;
  #settledLosses: number;

  private constructor(
    world: World,
    ownsWorld: boolean,
    { people, watchers, circle }: { people: Person[]; watchers: Watcher[]; circle: Circle | null },
    rooms: LaboratoryRooms,
  ) {
    this.world = world;
    this.#ownsWorld = ownsWorld;
    this.#settledLosses = world.redis.losses.length;
    this.people = people;
    this.watchers = watchers;
    this.circle = circle;
    this.rooms = rooms;
    this.#lastSeen = new LastSeenWatch(
      world,
      people.map(({ userId }) => userId),
    );
  }

  static async open({
    people = 8,
    prefix = 'p',
    circle: size,
    ownTtlsMs = [null],
    ...options
  }: LaboratoryOptions = {}): Promise<Laboratory> {
    const world = options.world ?? (await World.start(options));
    const crowd = Array.from(
      { length: people },
      (_, n) => new Person(world, `${prefix}${n}`, 1 + (n % 2), ownTtlsMs[n % ownTtlsMs.length] ?? null),
    );
    const ids = crowd.map(({ userId }) => userId);
    const watchers = world.webs.map((web, n) => new Watcher(web, `watcher ${n}`, ids, n % 2 === 1));
    const [first] = world.webs;
    if (first) watchers.push(new Watcher(first, 'everyone', null, true));
    // Users, who are not told what services are of those who appear inactive.
    watchers.push(
      ...world.webs.map((web, n) => new Watcher(web, `stranger ${n}`, ids, n % 2 === 0, `${prefix}stranger${n}`)),
    );
    const circle = size ? new Circle(world, prefix, size) : null;
    const laboratory = new Laboratory(
      world,
      options.world === undefined,
      { people: crowd, watchers, circle },
      new LaboratoryRooms(world, prefix),
    );
    await Promise.all([circle?.start(), ...watchers.map((watcher) => watcher.start())]);
    laboratory.#lastSeen.start();
    laboratory.rooms.start();
    return laboratory;
  }

  person(n: number): Person {
    const person = this.people[n % this.people.length];
    if (!person) throw new Error('There is nobody');
    return person;
  }

  note(text: string): void {
    this.journal.push(`${((Date.now() - this.begun) / 1000).toFixed(2)} s  ${text}`);
  }

  get scene(): Scene {
    return { world: this.world, people: this.people, watchers: this.watchers, begun: this.begun };
  }

  /** Whether every watcher that is connected takes the person for that. */
  everyoneSees({ userId }: Person, status: 'active' | 'inactive'): boolean {
    return this.watchers.every(
      ({ connected, view }) => !connected || (view.get(userId)?.status ?? 'inactive') === status,
    );
  }

  /** Resolves once it is so, or when it has had all the time that any promise allows; the judgement says whether it mattered. */
  async until(isSo: () => boolean): Promise<void> {
    const from = Date.now();
    while (!isSo() && Date.now() - from - this.world.machine.taken(from, Date.now()) < TTL_MS + 2 * WITHIN_MS) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /**
   * A quiet point: faults are healed, everybody who wants to be here is let in, and after the stated time the watchers,
   * REST, PostgreSQL and the record of what people did have to agree.
   */
  async quiet(): Promise<void> {
    this.note('quiet: everything is healed');
    await this.world.heal();
    const healed = Date.now();
    await Promise.all([this.circle?.makeCertain(), ...this.people.map((person) => person.makeCertain())]);
    await this.#allLetIn(healed);
    const losses = this.world.redis.losses.slice(this.#settledLosses);
    const lost = losses.at(-1);
    let due = Math.max(healed, Date.now() - BACK_IN_MS) + TTL_MS + WITHIN_MS;
    // Processes notice a return within a second or two of it, and from then on the losses have their time to be made good.
    const settled = (lost?.to ?? 0) + TTL_MS + HANDOVER_MS + SETTLE_MARGIN_MS + 2000;
    // Who has fallen silent, or was here by a lease, may have a TTL of their own.
    due = Math.max(due, lastOfTheGone(this.world, this.people) + WITHIN_MS);
    if (lost) due = Math.max(due, settled + WITHIN_MS, healed + TTL_MS + HANDOVER_MS + WITHIN_MS);
    await this.circle?.compareRestored();
    const started = Date.now();
    let differing: Finding[] = [];
    let settling = 0;
    for (;;) {
      differing = await this.#differing();
      const now = Date.now();
      const allowed = due + this.world.machine.taken(healed, now);
      if (differing.length === 0 && now > healed + TTL_MS + 300) break;
      if (differing.length > 0 && now > Math.max(allowed, started + TTL_MS + WITHIN_MS)) break;
      if (lost && now > settling && now > settled - 2000) {
        settling = now + 1000;
        await this.#asking((redis) => maintain(redis, 'settle-lost'));
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    this.#settledLosses = this.world.redis.losses.length;
    this.findings.push(...differing);
    await this.#learnPrivacy();
    await this.#judgeStores();
  }

  /** Everybody leaves; then nothing is left but what is meant to stay. Ends with the judgement over all logs. */
  async close(): Promise<Finding[]> {
    this.note('everybody leaves');
    for (const person of this.people) {
      if (mayHide(person, Date.now())) await person.show();
      for (const device of person.devices) await device.leave();
    }
    await this.circle?.leave();
    if (this.circle) this.findings.push(...(await judgeErasures(this.circle)));
    const until = Date.now() + 2 * TTL_MS + MOVED_MS + WITHIN_MS;
    let left = await this.#asking((redis) => leftovers(this.world, redis));
    while (left.length > 0 && Date.now() < until + this.world.machine.taken(until - 2 * TTL_MS, Date.now())) {
      await new Promise((resolve) => setTimeout(resolve, 300));
      left = await this.#asking((redis) => leftovers(this.world, redis));
    }
    for (const text of left.slice(0, 10)) this.findings.push({ kind: 'keys', text: `Left in Redis: ${text}` });
    return this.judge();
  }

  /** The judgement over all logs; nothing happens here afterwards. */
  async judge(): Promise<Finding[]> {
    // Who left last may not be in PostgreSQL yet: it has two seconds.
    const until = Date.now() + WITHIN_MS;
    let history = judgeHistory(this.scene, (await readPostgres(this.world)).transitions);
    while (history.length > 0 && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      history = judgeHistory(this.scene, (await readPostgres(this.world)).transitions);
    }
    this.findings.push(
      ...judgeLogs(this.scene),
      ...this.rooms.judge(this.scene),
      ...judgeDetails(this.scene),
      ...history,
      ...this.#lastSeen.findings,
    );
    if (this.circle) this.findings.push(...judgeCircle(this.circle, this.begun));
    for (const member of this.world.members) {
      for (const text of member.takeFaults()) this.findings.push({ kind: 'process', text });
    }
    await this.stop();
    return this.findings;
  }

  async stop(): Promise<void> {
    this.#lastSeen.stop();
    for (const watcher of this.watchers) watcher.stop();
    this.rooms.stop();
    await Promise.all([this.circle?.stop(), ...this.people.map((person) => person.stop())]);
    if (this.#ownsWorld) await this.world.stop();
  }

  async #allLetIn(since: number): Promise<void> {
    const { subjects = [], viewers = [], typist } = this.circle ?? {};
    const out = () => [
      ...[...this.people, ...subjects].flatMap(({ devices }) =>
        devices.filter(({ wanted, alive }) => wanted && !alive),
      ),
      ...[...this.watchers, ...this.rooms.watchers, ...viewers]
        .filter(({ connected }) => !connected)
        .map(({ label }) => ({ deviceId: label })),
      ...(typist?.connected === false ? [{ deviceId: typist.userId }] : []),
    ];
    while (out().length > 0) {
      const late = Date.now() - since - this.world.machine.taken(since, Date.now());
      if (late > BACK_IN_MS) {
        const names = out().map(({ deviceId }) => deviceId);
        this.findings.push({
          kind: 'client',
          text: `Not let in ${BACK_IN_MS} ms after all is healed: ${names.join(', ')}`,
        });
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Where watchers, REST or PostgreSQL say something else than what must be. */
  async #differing(): Promise<Finding[]> {
    const found = [
      ...(await differingViews(this.scene)),
      ...(await this.rooms.differing(this.people)),
      ...(await differingDetails(this.scene)),
    ];
    if (this.circle) found.push(...(await differingInCircle(this.circle, await this.circle.readRows())));
    return found;
  }

  /** What PostgreSQL says of the circle has to be what was answered, and holds from here on. */
  async #learnPrivacy(): Promise<void> {
    if (!this.circle) return;
    const rows = await this.circle.readRows();
    for (const text of this.circle.record.learn(Date.now(), rows)) this.findings.push({ kind: 'privacy', text });
  }

  /** Last seen and timeout jobs, once everything agrees. */
  async #judgeStores(): Promise<void> {
    const { users } = await readPostgres(this.world);
    for (const person of this.people) {
      const row = users.get(person.userId);
      const bounds = row && lastSeenOf(this.world, person);
      if (!bounds || row.status === 'active') continue;
      const at = row.lastSeen ?? 0;
      if (at >= bounds.from - 1000 && at <= bounds.to + 1000) continue;
      const apart = at < bounds.from ? at - bounds.from : at - bounds.to;
      const text = `${person.userId} was last seen at ${((at - this.begun) / 1000).toFixed(2)} s by PostgreSQL, ${(apart / 1000).toFixed(2)} s from the truth`;
      this.findings.push({ kind: 'last seen', text });
    }
    const here = this.people.filter(({ devices }) => devices.some(({ alive }) => alive)).map(({ userId }) => userId);
    await this.#asking(async (redis) => {
      let missing = await withoutJob(this.world, redis, here);
      // A job that was lost with its process is made again within a minute; here its turn comes at once.
      if (missing.length > 0) await maintain(redis, 'restore-jobs');
      for (const until = Date.now() + 4000; missing.length > 0 && Date.now() < until; ) {
        await new Promise((resolve) => setTimeout(resolve, 250));
        missing = await withoutJob(this.world, redis, here);
      }
      for (const text of missing) this.findings.push({ kind: 'jobs', text: `No timeout job is coming for ${text}` });
    });
  }

  async #asking<T>(question: (redis: ReturnType<World['inspector']>) => Promise<T>): Promise<T> {
    const redis = this.world.inspector();
    try {
      return await question(redis);
    } finally {
      redis.disconnect();
    }
  }
}
