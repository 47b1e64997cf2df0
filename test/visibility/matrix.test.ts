import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rest } from '../support/client.ts';
import { eventually } from '../support/deployment.ts';
import { PICTURES, SILENT, watched } from './doors.ts';
import {
  casesOf,
  friendsLists,
  heardSince,
  idlePictures,
  judgeHeard,
  judgeIdle,
  judgeLeaving,
  judgeVersions,
  LIVE,
  pictures,
  remember,
  typing,
} from './judging.ts';
import { everybodyIn, judgeLeavingRoom, judgeListeners, judgeRoomDoors, ROOM, ROOM_DOORS, watchRoom } from './rooms.ts';
import { TARGETS } from './rules.ts';
import { World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await World.start();
}, 120_000);
afterAll(() => world?.stop());

describe.sequential('who may see whom', () => {
  test('who arrives is told live to those who may see it, on every kind of client and both webs, and to nobody else', async () => {
    const heard = heardSince(remember(world));
    await world.arrive();
    judgeHeard(world, heard, (told, each, name, exact) => {
      expect(told[0], name).toMatchObject({ status: 'active' });
      expect(
        told.some((change) => change.detail?.text === 'here'),
        name,
      ).toBe(true);
      for (const change of told) expect(change.lastSeen === null, name).toBe(each.sees !== 'all');
      for (const change of told) expect(change, name).not.toHaveProperty('lastSeenWithin');
      judgeVersions(told, each, name, exact);
    });
  });

  test('every picture of somebody active shows each viewer what they may see, and else somebody who never came', async () => {
    await pictures(world, 'active');
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
    const alerted = casesOf(world).filter((each) => each.relation === 'friend' && each.sees !== 'nothing');
    for (const { viewer, userId } of alerted) {
      await eventually(
        () => viewer.alerts,
        (alerts) => alerts.includes(userId),
        10_000,
      );
    }
    for (const { viewer, userId, name } of casesOf(world)) {
      const asked = alerted.some((each) => each.viewer === viewer && each.userId === userId);
      expect(viewer.alerts.includes(userId), name).toBe(asked);
    }
  });

  test('the list of friends shows what a friend may see', async () => {
    await friendsLists(world);
  });

  test('typing is shown to members who may see the user, when it begins, to whoever joins, and when it ends', async () => {
    await typing(world);
  });

  test('who is idle is told so live to those who may see them, and since when to those who may know the last seen', async () => {
    const heard = heardSince(remember(world));
    await world.idle();
    judgeHeard(world, heard, (told, each, name) => judgeIdle(told.at(-1)?.detail, each, name));
    for (const { viewer, userId, name } of casesOf(world)) {
      const causes = LIVE.flatMap((way) => heard(viewer, way, userId).map(({ cause }) => cause));
      expect(new Set(causes), name).toEqual(
        new Set(causes.length === 0 ? [] : viewer.relation === 'service' ? ['detail'] : [undefined]),
      );
    }
  });

  test('every picture of somebody idle says so to those who may see them, and since when to those who may know it', async () => {
    await idlePictures(world);
  });

  test('a room shows each viewer those there whom they may see, live, by every door and in its count, and since when where they may know it', async () => {
    const listeners = await watchRoom(world);
    await everybodyIn(world, 'join_room', { n: 1 });
    await judgeListeners(world, listeners, { n: 1 });
    await judgeRoomDoors(world, { n: 1 });
    await everybodyIn(world, 'update_room', { n: 2 });
    await judgeListeners(world, listeners, { n: 2 });
    await judgeLeavingRoom(world, listeners);
    // That somebody whom nobody may see is there is no secret to the backend alone.
    const feed = (await eventually(
      async () => (await world.call('GET', `/changes?after=${world.feed}&limit=1000`)) as { changes: object[] },
      ({ changes }) => changes.some((change) => 'roomId' in change),
      10_000,
    )) as { changes: { type?: string; roomId?: string }[] };
    expect(feed.changes.filter(({ roomId }) => roomId === ROOM)[0]).toMatchObject({ type: 'room_occupied' });
  });

  test('who leaves is told live to those who may see it, with the last seen only where they may know it', async () => {
    const heard = heardSince(remember(world));
    await world.leave();
    judgeHeard(world, heard, judgeLeaving);
  });

  test('every picture of somebody gone shows each viewer what they may see', async () => {
    await pictures(world, 'inactive');
  });

  test('who may not see gets exactly the answer for a known user who never came', async () => {
    const blind = casesOf(world).filter((each) => each.sees === 'nothing');
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
    const doors = [...Object.values(PICTURES), ...Object.values(ROOM_DOORS)];
    const covered = new Set([...doors.flatMap((door) => door.covers), 'GET /users/{id}/friends']);
    expect(routes.filter((route) => !covered.has(route) && !(route in SILENT))).toEqual([]);
  });
});
