import { Chance } from './chance.ts';
import type { CircleDoing, CircleSize } from './circle-schedule.ts';
import { within } from './device.ts';
import { Host } from './host.ts';
import { Person } from './person.ts';
import { OPEN_TO_ALL, PrivacyRecord, type Setting } from './privacy-record.ts';
import { begin, type Change } from './register.ts';
import type { Span } from './spans.ts';
import { maintain, readRows } from './stores.ts';
import { Typist } from './typist.ts';
import { Viewer } from './viewer.ts';
import type { World } from './world.ts';

/** What got no answer, or a bad one, is done by so long after that, or not at all. */
const UNDECIDED_MS = 10_000;
const LOOK_EVERY_MS = 120;
const DOORS = ['query', 'status', 'watch'] as const;

/** Somebody was erased; `sure`: that was answered with yes. */
export interface Erasure extends Span {
  userId: string;
  sure: boolean;
}

/** Users who allow each other this and that, those who look at them all the while, and a conversation. */
export class Circle {
  readonly world: World;
  readonly subjects: Person[];
  readonly passing: Person[];
  readonly viewers: Viewer[];
  readonly typist: Typist;
  readonly record: PrivacyRecord;
  readonly erasures: Erasure[] = [];
  /** Whether PostgreSQL was put back since Redis was last compared with it. */
  restored = false;
  readonly conversationId: string;
  /** Who was named in what was asked for, erasures apart. */
  readonly #named: (Span & { userIds: string[] })[] = [];
  readonly #host: Host;
  readonly #chance: Chance;
  #looking: NodeJS.Timeout | undefined;

  constructor(world: World, prefix: string, { subjects, passing, viewers }: CircleSize) {
    this.world = world;
    this.#host = new Host(world);
    this.conversationId = `${prefix}hall`;
    this.subjects = Array.from({ length: subjects }, (_, n) => new Person(world, `${prefix}subject${n}`, 1));
    this.passing = this.subjects.slice(subjects - passing);
    const users = this.subjects.map(({ userId }) => userId);
    this.viewers = Array.from({ length: viewers }, (_, n) => {
      const web = world.webs[n % world.webs.length];
      if (!web) throw new Error('There is no web');
      const watched = n % 3 === 2 ? null : users;
      const plan = { web, userId: `${prefix}viewer${n}`, users: watched, batch: n % 2 === 1 };
      return new Viewer({ ...plan, conversationId: this.conversationId });
    });
    this.typist = new Typist(world, `${prefix}typist`, this.conversationId);
    this.record = new PrivacyRecord([...users, ...this.viewers.map(({ userId }) => userId)]);
    this.#chance = new Chance(subjects * 31 + viewers);
  }

  async start(): Promise<void> {
    await Promise.all([this.typist, ...this.viewers].map(({ userId }) => this.letIn(userId)));
    await Promise.all(this.viewers.map((viewer) => viewer.start()));
    this.typist.start();
    this.#looking = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  get ids(): string[] {
    return [...this.subjects, ...this.viewers].map(({ userId }) => userId);
  }

  subject(n: number): Person {
    return some(this.subjects, n);
  }

  viewer(n: number): Viewer {
    return some(this.viewers, n);
  }

  async act(step: CircleDoing): Promise<void> {
    const { record } = this;
    if (!('who' in step)) {
      const { userId } = this.viewer(step.viewer);
      await (step.circle === 'let in' ? this.letIn(userId, step.web) : this.putOut(userId, step.web));
      return;
    }
    const subject = this.subject(step.who);
    const { userId } = subject;
    switch (step.circle) {
      case 'come':
        return subject.device(0).come(step.web);
      case 'move':
        return subject.device(0).moveTo(step.web);
      case 'leave':
        return subject.device(0).leave();
      case 'go silent':
        return subject.device(0).goSilent();
      case 'allow':
        await this.allow(userId, `${step.visibility} ${step.lastSeenVisibility}`, step.web);
        return;
      case 'erase':
        return this.erase(subject, step.web, step.changes);
    }
    const other = this.viewer(step.viewer).userId;
    const [one, two] = step.circle.startsWith('be ') ? [other, userId] : [userId, other];
    if (step.circle === 'befriend' || step.circle === 'unfriend') {
      const change = { register: record.friendship(userId, other), value: step.circle === 'befriend' };
      await this.#change([userId, other], [change], change.value, `/users/${userId}/friends/${other}`, step.web);
    } else {
      await this.block(one, two, !step.circle.includes('un'), step.web);
    }
  }

  /** Resolves with whether it was answered with yes, as all of these do. */
  allow(userId: string, setting: Setting, web = 0): Promise<boolean> {
    const [visibility, lastSeenVisibility] = setting.split(' ');
    const change = { register: this.record.settings(userId), value: setting };
    const body = { visibility, lastSeenVisibility };
    return this.#change([userId], [change], true, `/users/${userId}/settings`, web, body);
  }

  block(userId: string, other: string, blocks: boolean, web = 0): Promise<boolean> {
    const change = { register: this.record.block(userId, other), value: blocks };
    return this.#change([userId, other], [change], blocks, `/users/${userId}/blocks/${other}`, web);
  }

  letIn(userId: string, web = 0): Promise<boolean> {
    return this.#membership(userId, true, web);
  }

  putOut(userId: string, web = 0): Promise<boolean> {
    return this.#membership(userId, false, web);
  }

  /** A web took them out, and died before it told Redis or answered. */
  async putOutUntold(userId: string): Promise<void> {
    const answer = begin({ register: this.record.member(userId), value: false });
    const client = await this.world.connectPostgres();
    await client.query('DELETE FROM conversation_members WHERE conversation_id = $1 AND user_id = $2', [
      this.conversationId,
      userId,
    ]);
    await client.end();
    answer({ to: Date.now(), by: Date.now(), sure: false, isVoid: false });
  }

  #membership(userId: string, isMember: boolean, web: number): Promise<boolean> {
    const change = { register: this.record.member(userId), value: isMember };
    return this.#change([], [change], isMember, `/conversations/${this.conversationId}/members/${userId}`, web);
  }

  /** While changes of what they allow and of who blocks them arrive, each so many ms after it was asked for. */
  async erase({ userId, devices }: Person, web = 0, changes: readonly number[] = []): Promise<void> {
    const erasure: Erasure = { userId, from: Date.now(), to: Number.POSITIVE_INFINITY, sure: false };
    this.erasures.push(erasure);
    const relations = this.record.relations(userId).map((register) => ({ register, value: false }));
    const settings = { register: this.record.settings(userId), value: OPEN_TO_ALL };
    const meanwhile = changes.map(async (ms, n) => {
      await pause(ms);
      if (n % 2 === 0) return this.allow(userId, 'friends nobody', web + n);
      return this.block(this.viewer(n).userId, userId, true, web + n);
    });
    const acts = [...relations.map(begin), begin(settings)];
    const status = await this.#host.ask('DELETE', `/users/${userId}`, web);
    // Nobody to erase: nothing was begun.
    if (status === 404) this.erasures.splice(this.erasures.indexOf(erasure), 1);
    erasure.to = Date.now();
    erasure.sure = status === 204;
    // What was begun and not answered is done whenever a worker comes to it.
    const by = erasure.sure ? erasure.to : Number.POSITIVE_INFINITY;
    for (const act of acts) act({ to: erasure.to, by, sure: erasure.sure, isVoid: status === 404 });
    for (const device of devices) await device.leave();
    await Promise.all(meanwhile);
  }

  /** Waits for all answers, and has those erased for certain whose erasure is not. */
  async makeCertain(): Promise<void> {
    await within(this.#host.isAnswered(), UNDECIDED_MS);
    for (const { userId, sure, from } of [...this.erasures]) {
      const isLast = !this.erasures.some((other) => other.userId === userId && other.from > from);
      const subject = this.subjects.find((person) => person.userId === userId);
      for (let attempt = 0; !sure && isLast && subject && attempt < 5; attempt++) {
        await this.erase(subject, attempt);
        if (this.erasures.findLast((other) => other.userId === userId)?.sure) break;
      }
    }
  }

  /** Those who were erased and neither came back nor were named again since it was asked for. */
  get gone(): string[] {
    const last = new Map(this.erasures.map((erasure) => [erasure.userId, erasure]));
    return [...last.values()]
      .filter(({ userId, from, sure }) => {
        const named = this.#named.some(({ userIds, to }) => userIds.includes(userId) && to >= from);
        const lives = this.subjects.filter((person) => person.userId === userId).flatMap(({ devices }) => devices);
        return sure && !named && !lives.some((device) => device.lives.some((life) => life.to >= from));
      })
      .map(({ userId }) => userId);
  }

  /** What a PostgreSQL that was put back says is compared with Redis within minutes; here its turn comes at once. */
  async compareRestored(): Promise<void> {
    if (!this.restored) return;
    this.restored = false;
    const redis = this.world.inspector();
    await Promise.all((['compare-privacy', 'compare-members'] as const).map((job) => maintain(redis, job)));
    redis.disconnect();
  }

  async readRows() {
    const client = await this.world.connectPostgres();
    try {
      return await readRows(client, this.conversationId);
    } finally {
      await client.end();
    }
  }

  async leave(): Promise<void> {
    clearInterval(this.#looking);
    for (const { devices } of this.subjects) for (const device of devices) await device.leave();
    for (const one of [...this.viewers, this.typist]) one.stop();
  }

  async stop(): Promise<void> {
    await this.leave();
    await Promise.all(this.subjects.map((subject) => subject.stop()));
  }

  #look(): void {
    const viewer = this.#chance.pick(this.viewers);
    const door = this.#chance.pick(DOORS);
    const web = this.#chance.pick(this.world.webs);
    const users = this.subjects.map(({ userId }) => userId);
    if (door !== 'watch') void viewer.look(door, web, door === 'query' ? users : [this.#chance.pick(users)]);
    else if (viewer.watches && viewer.connected) void viewer.look(door, viewer.web, [this.#chance.pick(users)]);
  }

  async #change<T>(
    userIds: string[],
    changes: Change<T>[],
    puts: boolean,
    path: string,
    web: number,
    body?: object,
  ): Promise<boolean> {
    const acts = changes.map(begin);
    const named = { userIds, from: Date.now(), to: Number.POSITIVE_INFINITY };
    this.#named.push(named);
    const status = await this.#host.ask(puts ? 'PUT' : 'DELETE', path, web, body);
    const to = Date.now();
    const sure = status >= 200 && status < 300;
    named.to = sure ? to : to + UNDECIDED_MS;
    for (const act of acts) act({ to, by: named.to, sure, isVoid: status === 0 && named.from === to });
    return sure;
  }
}

function some<T>(list: readonly T[], n: number): T {
  const found = list[n % list.length];
  if (found === undefined) throw new Error('There is nobody');
  return found;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
