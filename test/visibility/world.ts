import { expect } from 'vitest';
import type { IndicatorChange } from '../../src/protocol/socket.ts';
import { type Heard, isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually } from '../support/deployment.ts';
import { type Relation, TARGETS, VIEWERS } from './rules.ts';

export const HALL = 'hall';
const MARKER = 'marker';
const ALL = [...TARGETS.map((target) => target.userId), MARKER];

/** One who looks, with a client for every way of being told. */
export interface Viewer {
  relation: Relation;
  userId: string;
  token: string;
  named: TestClient;
  batched: TestClient;
  /** Without a word about whom to watch; an observer has none. */
  open: TestClient;
  indicators: IndicatorChange[];
  alerts: string[];
}

/** Users with every setting, viewers with every relation to each of them, two webs. */
export class World {
  readonly rollcall: Deployment;
  readonly host: string;
  viewers: Viewer[] = [];
  /** Where the change feed stood at the beginning. */
  feed = '';
  readonly targets = new Map<string, TestClient>();
  #marker: TestClient | undefined;
  #marks = 0;
  #hasSaid = false;

  constructor(rollcall: Deployment, host: string) {
    this.rollcall = rollcall;
    this.host = host;
  }

  static async start(name = 'visibility'): Promise<World> {
    const rollcall = await Deployment.start(name, {
      webs: 2,
      env: {
        // Nobody has to beat, however long it takes to look by every door.
        PRESENCE_TTL_SECONDS: '600',
        HEARTBEAT_INTERVAL_SECONDS: '300',
        ALERT_MIN_ABSENCE_SECONDS: '0',
        ALERT_STABLE_SECONDS: '0',
        ALERT_COOLDOWN_SECONDS: '0',
        ROOMS_OPEN: HALL,
        ROOMS_TOLD: HALL,
      },
    });
    const world = new World(rollcall, await tokenFor('host', { scope: 'presence:read presence:write' }));
    world.feed = ((await world.call('GET', '/changes')) as { nextCursor: string }).nextCursor;
    await world.befriendAndBlock();
    // Known, and never came.
    await world.call('PUT', '/users/ghost', { displayName: 'Ghost' });
    for (const { userId } of VIEWERS) await world.call('PUT', `/conversations/${HALL}/members/${userId}`);
    for (const { relation, userId } of VIEWERS) {
      world.viewers.push(await world.#enter(relation, userId, await tokenFor(userId)));
    }
    world.viewers.push(await world.#enter('service', 'host', world.host));
    world.#marker = await TestClient.connect(rollcall.url, MARKER);
    return world;
  }

  async call(method: string, path: string, body?: unknown, token = this.host): Promise<unknown> {
    const answer = await rest(this.rollcall.url, method, path, body === undefined ? { token } : { token, body });
    expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBeLessThan(300);
    return answer.body;
  }

  /** All targets come who are not here, one after the other, and say something of themselves. */
  async arrive(): Promise<void> {
    const isTold = this.#sinceNow();
    for (const { userId } of TARGETS) {
      if (this.targets.get(userId)?.socket.connected) continue;
      const client = await TestClient.connect(this.rollcall.web(1).url, userId, {
        watch: [userId],
        device: { kind: 'web' },
      });
      expect(await client.socket.emitWithAck('set_detail', { text: 'here' })).toMatchObject({ ok: true });
      expect(await client.socket.emitWithAck('join_conversation', { conversationId: HALL })).toMatchObject({
        ok: true,
      });
      this.targets.set(userId, client);
    }
    // Who has said it before says nothing new.
    if (this.#hasSaid) await isTold(isActive);
    else await isTold((told) => told.detail?.text === 'here');
    this.#hasSaid = true;
    await this.mark();
  }

  /** All targets say this, `before` each something may befall the world. Resolves when everybody has been told. */
  async say(text: string, before: () => Promise<unknown> = async () => {}): Promise<void> {
    const isTold = this.#sinceNow();
    for (const client of this.targets.values()) {
      await before();
      expect(await client.socket.emitWithAck('set_detail', { text })).toMatchObject({ ok: true });
    }
    await isTold((told) => told.detail?.text === text);
    await this.mark();
  }

  /** No target has any input. Resolves when everybody has been told. */
  async idle(): Promise<void> {
    const isTold = this.#sinceNow();
    for (const client of this.targets.values()) expect(await client.beat('idle')).toMatchObject({ ok: true });
    await isTold((told) => told.detail?.idle === true);
    await this.mark();
  }

  async leave(before: () => Promise<unknown> = async () => {}): Promise<void> {
    await before();
    const isTold = this.#sinceNow();
    for (const client of this.targets.values()) client.leave();
    await isTold(isInactive);
    await this.mark();
  }

  /** Resolves when every client has heard of something that happened only now: whatever came before has been told. */
  async mark(): Promise<void> {
    const text = `mark ${++this.#marks}`;
    await this.#marker?.socket.emitWithAck('set_detail', { text });
    for (const { named, batched, open } of this.viewers) {
      for (const client of [named, batched, open]) await client.hears(MARKER, (told) => told.detail?.text === text);
    }
  }

  stop(): Promise<unknown> {
    return this.rollcall.stop();
  }

  /** What resolves when who sees everybody has been told such a change of each target since now, at both webs. */
  #sinceNow(): (fits: (change: Heard) => boolean) => Promise<void> {
    const clients = this.viewers
      .filter(({ relation }) => relation === 'service')
      .flatMap(({ named, batched }) => [named, batched]);
    const known = clients.map((client) => client.heard.length);
    return async (fits) => {
      const isTold = (client: TestClient, n: number) => {
        const heard = client.heard.slice(known[n]);
        return TARGETS.every(({ userId }) => heard.some((change) => change.userId === userId && fits(change)));
      };
      await eventually(
        () => clients.every(isTold),
        (told) => told,
        10_000,
      );
    };
  }

  /** Every target allows what it is named for, and is to each viewer what that one is named for. */
  async befriendAndBlock(): Promise<void> {
    for (const { userId, ...settings } of TARGETS) {
      await this.call('PUT', `/users/${userId}/settings`, settings);
      await this.call('PUT', `/conversations/${HALL}/members/${userId}`);
      for (const viewer of VIEWERS) {
        const [friend, blocked, blocking] = [/friend/, /blocked/, /blocking/].map((word) => word.test(viewer.relation));
        if (friend) {
          await this.call('PUT', `/users/${userId}/friends/${viewer.userId}`);
          await this.call('PATCH', `/users/${viewer.userId}/friends/${userId}`, { alert: 'always' });
        }
        if (blocked) await this.call('PUT', `/users/${userId}/blocks/${viewer.userId}`);
        if (blocking) await this.call('PUT', `/users/${viewer.userId}/blocks/${userId}`);
      }
    }
  }

  async #enter(relation: Relation, userId: string, token: string): Promise<Viewer> {
    const { rollcall } = this;
    const named = await TestClient.connect(rollcall.url, userId, { token, watch: ALL });
    const batched = await TestClient.connect(rollcall.web(1).url, userId, { token, watch: ALL, batch: true });
    const open = await TestClient.connect(rollcall.web(1).url, userId, { token });
    const viewer: Viewer = { relation, userId, token, named, batched, open, indicators: [], alerts: [] };
    named.socket.on('indicator_change', (change) => viewer.indicators.push(change));
    named.socket.on('friend_active', (alert) => viewer.alerts.push(alert.userId));
    if (relation !== 'service') {
      expect(await named.socket.emitWithAck('join_conversation', { conversationId: HALL })).toMatchObject({ ok: true });
    }
    return viewer;
  }
}
