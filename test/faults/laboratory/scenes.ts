import type { ShownDetail } from '../../../src/protocol/vocabulary.ts';
import type { Circle } from './circle.ts';
import { backUp, losePrivacy, restore } from './circle-faults.ts';
import type { Laboratory } from './laboratory.ts';
import type { Person } from './person.ts';
import { SOURCES } from './sources.ts';
import { dropTimeoutJobs } from './stores.ts';
import type { Viewer } from './viewer.ts';
import { TTL_MS, WITHIN_MS } from './world.ts';

/**
 * Short stories, always the same, each around one thing that could be broken. With the code as it is nothing is found in
 * any of them.
 */
export type Stage = Laboratory;

export async function lateGoodbye(stage: Stage): Promise<void> {
  const ada = await hereAt(stage, 0);
  const { webs } = stage.world;
  // With no worker to spread the word, the old web only learns of the closed connection when it wakes.
  for (const worker of stage.world.workers) worker.freeze();
  webs[0]?.freeze();
  await ada.device(0).moveTo(1);
  ada.device(0).breakOldLines();
  await pause(500);
  webs[0]?.thaw();
  await pause(1200);
  for (const worker of stage.world.workers) worker.thaw();
}

export async function comesBackLater(stage: Stage): Promise<void> {
  const bob = stage.person(0);
  // Without a connection, so that a job looks at him at his deadline, finds him gone, and is done by then.
  await bob.show();
  await seen(stage, bob, 'active');
  await seen(stage, bob, 'inactive');
  await pause(1500);
  await bob.device(0).come(1);
  await seen(stage, bob, 'active');
}

export async function jobsLost(stage: Stage): Promise<void> {
  const cleo = await hereAt(stage, 0);
  await cleo.device(0).goSilent();
  // Its web would see the silence, and have it looked at.
  await stage.world.webs[0]?.kill();
  await dropTimeoutJobs(stage.world);
  await ownTime(stage, TTL_MS + WITHIN_MS + 1500);
}

export async function goesSilent(stage: Stage): Promise<void> {
  const dan = await hereAt(stage, 0);
  await dan.device(0).goSilent();
  await seen(stage, dan, 'inactive');
}

export async function deploy(stage: Stage): Promise<void> {
  const eve = await hereAt(stage, 0);
  await stage.world.webs[0]?.terminate();
  await eve.device(0).come(1);
  await seen(stage, eve, 'active');
}

export async function leavesWithoutPostgres(stage: Stage): Promise<void> {
  const finn = await hereAt(stage, 0);
  await pause(500);
  await stage.world.stopPostgres();
  await finn.device(0).leave();
  await seen(stage, finn, 'inactive');
  await pause(1500);
}

export async function comesBackUnnoticed(stage: Stage): Promise<void> {
  const gus = await hereAt(stage, 0);
  for (const worker of stage.world.workers) worker.freeze();
  await gus.device(0).goSilent();
  await pause(TTL_MS + 1000);
  await gus.device(0).come(1);
  for (const worker of stage.world.workers) worker.thaw();
  await pause(500);
}

export async function beatsAfterLogout(stage: Stage): Promise<void> {
  const hal = await hereAt(stage, 0);
  for (const worker of stage.world.workers) worker.freeze();
  // Right after a beat, so that the next one is well after the answer.
  const { lives } = hal.device(0);
  for (const beats = lives.length; lives.length === beats || !lives.at(-1)?.sure; ) await pause(10);
  // One session: signing out everywhere is remembered by more than tombstones.
  await hal.logOutElsewhere(hal.device(0), 1);
  await pause(1500);
  for (const worker of stage.world.workers) worker.thaw();
  await pause(500);
}

export async function redisAway(stage: Stage): Promise<void> {
  await hereAt(stage, 0);
  await stage.world.redis.stopPrimary(false);
  await pause(TTL_MS + 1500);
  // The webs come back a little later than the workers: what they have to tell is what the hold waits for.
  for (const web of stage.world.webs) web.redisLink.delay(100);
  await stage.world.redis.startPrimary();
  await pause(2500);
}

export async function hiddenAndForgotten(stage: Stage): Promise<void> {
  const { circle, subject, viewer } = await onStage(stage);
  await circle.allow(subject.userId, 'nobody nobody');
  await stage.until(() => viewer.view.get(subject.userId)?.status !== 'active');
  await losePrivacy(stage.world, [subject.userId]);
  await looks(stage, viewer, subject);
  // Told anew, too.
  await losePrivacy(stage.world, [subject.userId]);
  await subject.device(0).leave();
  await subject.device(0).come(1);
  await looks(stage, viewer, subject);
}

export async function blocksAfterRestore(stage: Stage): Promise<void> {
  const { circle, subject, viewer } = await onStage(stage);
  const backup = await backUp(circle);
  await circle.allow(subject.userId, 'nobody nobody');
  await circle.allow(subject.userId, 'everyone everyone');
  await restore(circle, backup, false);
  // As many changes as before, and nobody tells Redis of either before both are made.
  for (const worker of stage.world.workers) worker.freeze();
  await withoutRedis(stage, async () => {
    await circle.block(subject.userId, circle.typist.userId, true);
    await circle.block(subject.userId, viewer.userId, true);
  });
  for (const worker of stage.world.workers) worker.thaw();
  await pause(WITHIN_MS);
  await looks(stage, viewer, subject);
}

export async function putOutUntold(stage: Stage): Promise<void> {
  const { circle, viewer } = await onStage(stage);
  await stage.until(() => viewer.typing.length > 0);
  await circle.putOutUntold(viewer.userId);
  await pause(WITHIN_MS);
}

export async function goneFromRoom(stage: Stage): Promise<void> {
  const ada = await inRoom(stage);
  // Whoever would have told the list is gone, too: what ends her session tells it by the outbox alone.
  await ada.device(0).goSilent();
  await stage.world.webs[0]?.kill();
  await seen(stage, ada, 'inactive');
}

export async function roomsLost(stage: Stage): Promise<void> {
  await inRoom(stage);
  await pause(500);
  await stage.world.redis.flush();
  await pause(1000);
}

export async function hidesInRoom(stage: Stage): Promise<void> {
  const ada = await inRoom(stage);
  await ada.hide();
  await seen(stage, ada, 'inactive');
}

export async function callEnds(stage: Stage): Promise<void> {
  const ada = await hereAt(stage, 0);
  await ada.say(SOURCES.indexOf('manual'), null, 0);
  await ada.say(SOURCES.indexOf('call'), 1500, 1);
  await shows(stage, ada, ({ text }) => text?.startsWith('call') === true);
  await pause(1500);
}

export async function saidAndRolledBack(stage: Stage): Promise<void> {
  const ada = await hereAt(stage, 0);
  await ada.say(SOURCES.indexOf('calendar'), null, 0);
  await shows(stage, ada, ({ text }) => text?.startsWith('calendar') === true);
  const dump = await stage.world.redis.dump();
  await ada.say(SOURCES.indexOf('call'), null, 1);
  await shows(stage, ada, ({ text }) => text?.startsWith('call') === true);
  await stage.world.redis.rollBack(dump);
}

export async function idleAndBack(stage: Stage): Promise<void> {
  const ada = await hereAt(stage, 0);
  ada.device(0).be('idle');
  await shows(stage, ada, ({ idle }) => idle === true);
  ada.device(0).be('active');
  await shows(stage, ada, ({ idle }) => idle === undefined);
}

export async function leaseInRoomEnds(stage: Stage): Promise<void> {
  const ada = await hereAt(stage, 0);
  const [roomId = ''] = stage.rooms.roomIds;
  await ada.lease('agent', { ttlMs: TTL_MS, rooms: [roomId] }, 0);
  await stage.until(() => stage.rooms.watchers.every(({ view }) => view.get(roomId)?.has(ada.userId)));
  await pause(TTL_MS);
}

/** Waits until everybody is told of somebody so. */
function shows(stage: Stage, { userId }: Person, isSo: (detail: ShownDetail) => boolean): Promise<void> {
  return stage.until(() =>
    stage.watchers.every(({ connected, view }) => !connected || isSo(view.get(userId)?.detail ?? {})),
  );
}

/** Somebody who is in a room, as all who watch it know. */
async function inRoom(stage: Stage): Promise<Person> {
  const person = await hereAt(stage, 0);
  const [roomId = ''] = stage.rooms.roomIds;
  await person.device(0).joinRoom(roomId);
  await stage.until(() => stage.rooms.watchers.every(({ view }) => view.get(roomId)?.has(person.userId)));
  return person;
}

/** No web reaches Redis meanwhile. */
async function withoutRedis({ world }: Stage, work: () => Promise<unknown>): Promise<void> {
  for (const web of world.webs) web.loseRedis('refuse');
  await work();
  for (const web of world.webs) web.mendRedis();
}

/** A circle of one who is here, and one who looks and is a member. */
async function onStage(stage: Stage): Promise<{ circle: Circle; subject: Person; viewer: Viewer }> {
  const { circle } = stage;
  if (!circle) throw new Error('This story needs a circle');
  const [subject, viewer] = [circle.subject(0), circle.viewer(0)];
  await subject.device(0).come(0);
  await stage.until(() => viewer.view.get(subject.userId)?.status === 'active');
  await pause(300);
  return { circle, subject, viewer };
}

async function looks({ world }: Stage, viewer: Viewer, { userId }: Person): Promise<void> {
  for (const web of world.webs) await viewer.look('query', web, [userId]);
  await viewer.look('watch', viewer.web, [userId]);
  await pause(500);
}

async function hereAt(stage: Stage, web: number): Promise<Person> {
  const person = stage.person(0);
  await person.device(0).come(web);
  await seen(stage, person, 'active');
  await pause(300);
  return person;
}

function seen(stage: Stage, person: Person, status: 'active' | 'inactive'): Promise<void> {
  return stage.until(() => stage.everyoneSees(person, status));
}

/** Waits for so long of the time that the machine leaves to the processes. */
async function ownTime({ world }: Stage, ms: number): Promise<void> {
  const from = Date.now();
  while (Date.now() - from - world.machine.taken(from, Date.now()) < ms) await pause(50);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
