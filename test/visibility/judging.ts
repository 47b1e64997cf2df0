import { expect } from 'vitest';
import type { Heard, TestClient } from '../support/client.ts';
import { eventually } from '../support/deployment.ts';
import { PICTURES, type Shown } from './doors.ts';
import { CASES, TARGETS, targetOf } from './rules.ts';
import { HALL, type Viewer, type World } from './world.ts';

/** How every door and every way of being told is judged by the rules. */

/** Every case with the viewer it is about; a user’s own view is tested on its own. */
export function casesOf(world: World, relations: (viewer: Viewer) => boolean = () => true) {
  return world.viewers.filter(relations).flatMap((viewer) =>
    CASES.filter((each) => each.relation === viewer.relation).map((each) => ({
      ...each,
      viewer,
      userId: targetOf(each),
      name: `${each.relation} → ${targetOf(each)}`,
    })),
  );
}

export type JudgedCase = ReturnType<typeof casesOf>[number];

export function judge(shown: Shown | undefined, each: JudgedCase, status: 'active' | 'inactive', name: string) {
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
    expect(shown, name).not.toHaveProperty('lastSeenWithin');
    if (shown && 'version' in shown) expect(shown.version, name).toBeGreaterThan(0);
    return;
  }
  expect(shown?.lastSeen, name).toBeNull();
  const isTold = each.sees === 'coarse' && status === 'inactive';
  expect(shown?.lastSeenWithin, name).toBe(isTold ? 'day' : undefined);
  if (shown && 'version' in shown) expect(shown.version, name).toBe(0);
}

/** What is told and shown of somebody idle: since when, for those alone who may know the last seen. */
export function judgeIdle(detail: Shown['detail'], each: JudgedCase, name: string): void {
  expect(detail, name).toMatchObject({ text: 'here', idle: true });
  expect(Object.keys(detail ?? {}).includes('idleSince'), name).toBe(each.sees === 'all');
}

/** Every viewer looks by every door at users who are idle. */
export async function idlePictures(world: World): Promise<void> {
  const userIds = TARGETS.map((target) => target.userId);
  for (const [door, { look }] of Object.entries(PICTURES)) {
    if (door === 'GET status' || door === 'POST query') continue;
    for (const viewer of world.viewers) {
      const shown = await look(world, viewer, userIds);
      for (const each of casesOf(world, (other) => other === viewer)) {
        const found = shown[userIds.indexOf(each.userId)];
        const name = `${door}: ${each.name}`;
        if (each.sees === 'nothing') expect(JSON.stringify(found ?? {}), name).not.toContain('idle');
        else judgeIdle(found?.detail, each, name);
      }
    }
  }
}

/** Every viewer looks by every door; `before` each look something may befall the world. */
export async function pictures(
  world: World,
  status: 'active' | 'inactive',
  before: () => Promise<unknown> = async () => {},
): Promise<void> {
  const userIds = TARGETS.map((target) => target.userId);
  for (const [door, { look, leavesOut }] of Object.entries(PICTURES)) {
    for (const viewer of world.viewers) {
      await before();
      const shown = await look(world, viewer, userIds);
      for (const each of casesOf(world, (other) => other === viewer)) {
        const found = shown[userIds.indexOf(each.userId)];
        const name = `${door}: ${each.name}`;
        if (leavesOut && (status === 'inactive' || each.sees === 'nothing')) expect(found, name).toBeUndefined();
        else judge(found, each, status, name);
      }
    }
  }
}

export const LIVE = ['named', 'batched', 'open'] as const;

/** What came live since the last look, by viewer, way and user. */
export function heardSince(counts: Map<TestClient, number>) {
  return (viewer: Viewer, way: (typeof LIVE)[number], userId: string) =>
    viewer[way].heard.slice(counts.get(viewer[way]) ?? 0).filter((change) => change.userId === userId);
}

export function remember(world: World): Map<TestClient, number> {
  return new Map(
    world.viewers.flatMap((viewer) => LIVE.map((way) => [viewer[way], viewer[way].heard.length] as const)),
  );
}

/** Judges what came live of each case by every way: nothing for who may see nothing, else as `judgeTold` has it. */
export function judgeHeard(
  world: World,
  heard: ReturnType<typeof heardSince>,
  judgeTold: (told: Heard[], each: JudgedCase, name: string, exact: readonly number[]) => void,
): void {
  const services = world.viewers.filter(({ relation }) => relation === 'service').flatMap((one) => one.named.heard);
  for (const each of casesOf(world)) {
    const exact = services.flatMap(({ userId, version }) => (userId === each.userId ? [version] : []));
    for (const way of LIVE) {
      const told = heard(each.viewer, way, each.userId);
      const name = `${way}: ${each.name}`;
      if (each.sees === 'nothing') expect(told, name).toEqual([]);
      else judgeTold(told, each, name, exact);
    }
  }
}

export function judgeLeaving(told: Heard[], each: JudgedCase, name: string, exact: readonly number[]): void {
  expect(told.at(-1), name).toMatchObject({ status: 'inactive' });
  expect(told.at(-1)?.lastSeen === null, name).toBe(each.sees !== 'all');
  expect(told.at(-1)?.lastSeenWithin, name).toBe(each.sees === 'coarse' ? 'day' : undefined);
  judgeVersions(told, each, name, exact);
}

/**
 * From a version that somebody is told who knows the last seen coarsely no time can be read: it is none that `exact` has, the versions
 * that services were told of this user.
 */
export function judgeVersions(told: Heard[], each: JudgedCase, name: string, exact: readonly number[]): void {
  const versions = told.map(({ version }) => version);
  expect(versions, name).toEqual([...new Set(versions)].sort((a, b) => a - b));
  if (each.sees === 'coarse') for (const version of versions) expect(exact, name).not.toContain(version);
}

/** What each friend is shown in the list of their friends. */
export async function friendsLists(world: World, before: () => Promise<unknown> = async () => {}): Promise<void> {
  for (const viewer of world.viewers.filter(({ relation }) => relation.includes('friend'))) {
    await before();
    const { friends } = (await world.call('GET', `/users/${viewer.userId}/friends`, undefined, viewer.token)) as {
      friends: Shown[];
    };
    expect(friends).toHaveLength(TARGETS.length);
    for (const each of casesOf(world, (other) => other === viewer)) {
      const { alert, ...shown } = (friends.find((friend) => friend.userId === each.userId) ?? {}) as Shown & {
        alert?: string;
      };
      expect(alert, each.name).toBe('always');
      judge(shown, each, 'active', `friends: ${each.name}`);
    }
  }
}

/** Everybody types and stops; judges who hears of it, while it goes on and by joining. `before` each step something may befall the world. */
export async function typing(world: World, before: () => Promise<unknown> = async () => {}): Promise<void> {
  const members = casesOf(world, ({ relation }) => relation !== 'service');
  const known = new Map(world.viewers.map((viewer) => [viewer, viewer.indicators.length]));
  const say = async (event: 'start_indicator' | 'stop_indicator') => {
    for (const client of world.targets.values()) {
      expect(await client.socket.emitWithAck(event, { conversationId: HALL, kind: 'typing' })).toEqual({ ok: true });
    }
  };
  const seen = (viewer: Viewer, userId: string) =>
    viewer.indicators
      .slice(known.get(viewer) ?? 0)
      .filter((change) => change.userId === userId)
      .map((change) => change.active);
  await before();
  await say('start_indicator');
  for (const { viewer, userId, sees } of members) {
    if (sees !== 'nothing')
      await eventually(
        () => seen(viewer, userId),
        (all) => all.length === 1,
        10_000,
      );
  }
  // One join for all whom a viewer looks at, and said again before it: what goes on ends by itself after six seconds.
  for (const [viewer, looked] of Map.groupBy(members, ({ viewer }) => viewer)) {
    await say('start_indicator');
    const late = new Set<string>();
    viewer.batched.socket.on('indicator_change', (change) => late.add(change.userId));
    await before();
    await viewer.batched.socket.emitWithAck('join_conversation', { conversationId: HALL });
    // The news of a join is sent right behind its answer.
    await viewer.batched.beat();
    for (const { userId, sees, name } of looked) expect(late.has(userId), name).toBe(sees !== 'nothing');
    await viewer.batched.socket.emitWithAck('leave_conversation', { conversationId: HALL });
    viewer.batched.socket.off('indicator_change');
  }
  await before();
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
}
