import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rest, type TestClient } from '../support/client.ts';
import { eventually } from '../support/deployment.ts';
import { PICTURES, type Shown, SILENT, watched } from './doors.ts';
import { CASES, TARGETS, targetOf } from './rules.ts';
import { HALL, type Viewer, World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await World.start();
}, 120_000);
afterAll(() => world?.stop());

/** Every case with the viewer it is about; a user’s own view is tested on its own. */
function cases(relations: (viewer: Viewer) => boolean = () => true) {
  return world.viewers.filter(relations).flatMap((viewer) =>
    CASES.filter((each) => each.relation === viewer.relation).map((each) => ({
      ...each,
      viewer,
      userId: targetOf(each),
      name: `${each.relation} → ${targetOf(each)}`,
    })),
  );
}

function judge(
  shown: Shown | undefined,
  each: ReturnType<typeof cases>[number],
  status: 'active' | 'inactive',
  name: string,
) {
  if (each.sees === 'nothing') {
    const blank = { userId: each.userId, status: 'inactive', lastSeen: null };
    const extras = {
      ...(shown && 'version' in shown && { version: 0 }),
      ...(shown && 'devices' in shown && { devices: [], detail: {} }),
    };
    expect(shown, name).toEqual({ ...blank, ...extras });
    return;
  }
  expect(shown, name).toMatchObject({ userId: each.userId, status });
  if (shown && 'devices' in shown) {
    expect(shown, name).toMatchObject({ detail: { text: 'here' } });
    expect(shown.devices, name).toHaveLength(status === 'active' ? 1 : 0);
  }
  if (each.sees === 'all') {
    expect(shown?.lastSeen, name).toEqual(expect.any(String));
    if (shown && 'version' in shown) expect(shown.version, name).toBeGreaterThan(0);
    return;
  }
  expect(shown?.lastSeen, name).toBeNull();
  if (shown && 'version' in shown) expect(shown.version, name).toBe(0);
}

async function pictures(status: 'active' | 'inactive'): Promise<void> {
  const userIds = TARGETS.map((target) => target.userId);
  for (const [door, { look, leavesOut }] of Object.entries(PICTURES)) {
    for (const viewer of world.viewers) {
      const shown = await look(world, viewer, userIds);
      for (const each of cases((other) => other === viewer)) {
        const found = shown[userIds.indexOf(each.userId)];
        const name = `${door}: ${each.name}`;
        if (leavesOut && (status === 'inactive' || each.sees === 'nothing')) expect(found, name).toBeUndefined();
        else judge(found, each, status, name);
      }
    }
  }
}

const LIVE = ['named', 'batched', 'open'] as const;

/** What came live since the last look, by viewer, way and user. */
function heardSince(counts: Map<TestClient, number>) {
  return (viewer: Viewer, way: (typeof LIVE)[number], userId: string) =>
    viewer[way].heard.slice(counts.get(viewer[way]) ?? 0).filter((change) => change.userId === userId);
}

function remember(): Map<TestClient, number> {
  return new Map(
    world.viewers.flatMap((viewer) => LIVE.map((way) => [viewer[way], viewer[way].heard.length] as const)),
  );
}

describe.sequential('who may see whom', () => {
  test('who arrives is told live to those who may see it, on every kind of client and both webs, and to nobody else', async () => {
    const heard = heardSince(remember());
    await world.arrive();
    for (const each of cases()) {
      for (const way of LIVE) {
        const told = heard(each.viewer, way, each.userId);
        const name = `${way}: ${each.name}`;
        if (each.sees === 'nothing') expect(told, name).toEqual([]);
        else {
          expect(told[0], name).toMatchObject({ status: 'active' });
          expect(
            told.some((change) => change.detail?.text === 'here'),
            name,
          ).toBe(true);
          for (const change of told) expect(change.lastSeen === null, name).toBe(each.sees === 'status');
        }
      }
    }
  });

  test('every picture of somebody active shows each viewer what they may see, and else somebody who never came', async () => {
    await pictures('active');
  });

  test('users see themselves, whatever they allow to others', async () => {
    for (const { userId } of TARGETS) {
      const own = world.targets.get(userId);
      expect(own && (await watched(own, [userId]))[0]).toMatchObject({
        status: 'active',
        lastSeen: expect.any(String),
      });
      expect(own?.of(userId).length).toBeGreaterThan(0);
    }
  });

  test('an alert comes to friends who may see it', async () => {
    const alerted = cases().filter((each) => each.relation === 'friend' && each.sees !== 'nothing');
    for (const { viewer, userId } of alerted) {
      await eventually(
        () => viewer.alerts,
        (alerts) => alerts.includes(userId),
        10_000,
      );
    }
    for (const { viewer, userId, name } of cases()) {
      const asked = alerted.some((each) => each.viewer === viewer && each.userId === userId);
      expect(viewer.alerts.includes(userId), name).toBe(asked);
    }
  });

  test('the list of friends shows what a friend may see', async () => {
    for (const viewer of world.viewers.filter(({ relation }) => relation.includes('friend'))) {
      const { friends } = (await world.call('GET', `/users/${viewer.userId}/friends`, undefined, viewer.token)) as {
        friends: Shown[];
      };
      expect(friends).toHaveLength(TARGETS.length);
      for (const each of cases((other) => other === viewer)) {
        const { alert, ...shown } = (friends.find((friend) => friend.userId === each.userId) ?? {}) as Shown & {
          alert?: string;
        };
        expect(alert, each.name).toBe('always');
        judge(shown, each, 'active', `friends: ${each.name}`);
      }
    }
  });

  test('typing is shown to members who may see the user, when it begins, to whoever joins, and when it ends', async () => {
    const members = cases(({ relation }) => relation !== 'service');
    const say = async (event: 'start_indicator' | 'stop_indicator') => {
      for (const client of world.targets.values()) {
        expect(await client.socket.emitWithAck(event, { conversationId: HALL, kind: 'typing' })).toEqual({ ok: true });
      }
    };
    const seen = (viewer: Viewer, userId: string) =>
      viewer.indicators.filter((change) => change.userId === userId).map((change) => change.active);
    await say('start_indicator');
    for (const { viewer, userId, sees } of members) {
      if (sees !== 'nothing')
        await eventually(
          () => seen(viewer, userId),
          (all) => all.length === 1,
          10_000,
        );
    }
    for (const { viewer, userId, sees, name } of members) {
      const late: string[] = [];
      viewer.batched.socket.on('indicator_change', (change) => late.push(change.userId));
      await viewer.batched.socket.emitWithAck('join_conversation', { conversationId: HALL });
      // The news of a join is sent right behind its answer.
      await viewer.batched.beat();
      expect(late.includes(userId), name).toBe(sees !== 'nothing');
      await viewer.batched.socket.emitWithAck('leave_conversation', { conversationId: HALL });
      viewer.batched.socket.off('indicator_change');
    }
    await say('stop_indicator');
    for (const { viewer, userId, sees } of members) {
      if (sees !== 'nothing')
        await eventually(
          () => seen(viewer, userId).at(-1),
          (active) => active === false,
          10_000,
        );
    }
    await world.mark();
    for (const { viewer, userId, sees, name } of members) {
      if (sees === 'nothing') expect(seen(viewer, userId), name).toEqual([]);
    }
  });

  test('who leaves is told live to those who may see it, with the last seen only where they may know it', async () => {
    const heard = heardSince(remember());
    await world.leave();
    for (const each of cases()) {
      for (const way of LIVE) {
        const told = heard(each.viewer, way, each.userId);
        const name = `${way}: ${each.name}`;
        if (each.sees === 'nothing') expect(told, name).toEqual([]);
        else {
          expect(told.at(-1), name).toMatchObject({ status: 'inactive' });
          expect(told.at(-1)?.lastSeen === null, name).toBe(each.sees === 'status');
        }
      }
    }
  });

  test('every picture of somebody gone shows each viewer what they may see', async () => {
    await pictures('inactive');
  });

  test('who may not see gets exactly the answer for a known user who never came', async () => {
    const blind = cases().filter((each) => each.sees === 'nothing');
    for (const [door, { look, leavesOut }] of Object.entries(PICTURES)) {
      if (leavesOut) continue;
      for (const viewer of new Set(blind.map((each) => each.viewer))) {
        const userIds = blind.filter((each) => each.viewer === viewer).map((each) => each.userId);
        const shown = await look(world, viewer, [...userIds, 'ghost']);
        const ghost = JSON.stringify(shown.at(-1));
        for (const [n, userId] of userIds.entries()) {
          expect(JSON.stringify(shown[n]), `${door}: ${viewer.relation} → ${userId}`).toBe(
            ghost.replace('ghost', userId),
          );
        }
      }
    }
  });

  test('every route that speaks of users is in this matrix, or there is a reason why it tells nothing', async () => {
    const { body } = await rest(world.rollcall.url, 'GET', '/docs/json');
    const routes = Object.entries(body.paths as Record<string, Record<string, unknown>>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const covered = new Set([...Object.values(PICTURES).flatMap((door) => door.covers), 'GET /users/{id}/friends']);
    expect(routes.filter((route) => !covered.has(route) && !(route in SILENT))).toEqual([]);
  });
});
