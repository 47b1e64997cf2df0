import { expect } from 'vitest';
import { NO_CONNECTION } from '../../src/presence/session.ts';
import type { OpenRequest } from '../../src/redis/presence-types.ts';
import { putLease, renewLease } from '../model/leases.ts';
import { close } from '../model/scripts.ts';
import { MAX_SESSIONS, type Step } from './steps.ts';
import type { World } from './world.ts';

type Of<Name extends Step['do']> = Extract<Step, { do: Name }>;

/** The steps that concern leases, each done to the scripts and by the rules. */

const sessionOf = (name: number) => `l${name}`;

export async function lease(world: World, { user, name, lateMs, ...wish }: Of<'lease'>): Promise<void> {
  const lateness = world.late(lateMs);
  const userId = world.user(user);
  const said = { ...wish, sessionId: sessionOf(name), name: `${name}`, maxSessions: MAX_SESSIONS };
  const ages = { beatAgeMs: 0, connectedAgeMs: 0 };
  const request: OpenRequest = { ...said, ...ages, userId, conn: NO_CONNECTION, mode: 'lease', claims: null };
  const before = world.person(userId);
  let opened = await world.store.open(request, null);
  expect(opened.code === 'stored').toBe(before === null);
  const stored = before ? null : world.seedOf(userId);
  if (stored) opened = await world.store.open(request, stored);
  world.owe(opened.followUp);
  const outcome = putLease(
    before ?? world.remembered(userId, stored === 'away'),
    { ...said, ageMs: lateness },
    world.circumstances,
  );
  expect(opened.code).toBe(world.follow(outcome));
  expect(opened.version).toBe(outcome.person.version);
  const put = outcome.person.sessions.find(({ sessionId }) => sessionId === said.sessionId);
  if (outcome.code === 'ok') expect(opened.endsAt).toBe((put?.lastBeat ?? 0) + wish.ttlMs);
  // One that was long on its way may be due before the job that waits already.
  if (lateness > 0) world.leaveToSweep(userId, opened.endsAt);
  if (stored) world.leaveChoiceToSweep(outcome.person);
}

export async function renew(world: World, { leases, lateMs }: Of<'renew'>): Promise<void> {
  const ageMs = world.late(lateMs);
  const named = leases.map(({ user, name }) => ({ userId: world.user(user), sessionId: sessionOf(name) }));
  const { renewed, followUps } = await world.leases.renew(named);
  for (const followUp of followUps) world.owe(followUp);
  const expected = named.map(({ userId, sessionId }) => {
    const person = world.person(userId);
    return person ? world.follow(renewLease(person, { sessionId, ageMs }, world.circumstances)) === 'ok' : false;
  });
  expect(renewed).toEqual(expected);
}

export async function endLease(world: World, { user, name }: Of<'end lease'>): Promise<void> {
  const userId = world.user(user);
  const said = { sessionId: sessionOf(name), conn: NO_CONNECTION };
  const { late, followUp } = await world.store.close({ userId, ...said }, 0, 0);
  world.owe(followUp);
  const person = world.person(userId);
  const goodbye = { ...said, ageMs: 0, graceMs: 0 };
  expect(late).toBe((person ? world.follow(close(person, goodbye, world.circumstances)) : 'late') === 'late');
}
