import type { Finding } from './checks.ts';
import { befallCircle } from './circle-faults.ts';
import type { CircleDoing, CircleFault } from './circle-schedule.ts';
import { Laboratory } from './laboratory.ts';
import type { Member } from './member.ts';
import { type Doing, type Fault, inWords, type Schedule, type Step, scheduleOf, type Target } from './schedule.ts';
import type { World } from './world.ts';

export interface RunOptions {
  seed: number;
  storms?: number;
  stormMs?: number;
  world?: World;
}

export interface RunResult {
  seed: number;
  findings: Finding[];
  tookMs: number;
  /** All that is needed to look into it: findings, schedule and journal. */
  report: string;
}

/** Of sessions, one after the other; null: the configured one. The longest are waited for only where there is time. */
const SHORT_TTLS_MS = [null, null, 4000, null, 9000];
const LONG_TTLS_MS = [null, null, 4000, null, 10_000, null, null, 3000, null, 30_000];

export const SIZE = { people: 10, webs: 3, workers: 2, circle: { subjects: 5, passing: 2, viewers: 3 } };

/** One run of the laboratory: storms and quiet points, all from the seed. */
export async function runSeed({ seed, storms = 2, stormMs = 6000, world }: RunOptions): Promise<RunResult> {
  const from = performance.now();
  const schedule = scheduleOf(seed, { ...SIZE, storms, stormMs });
  const ownTtlsMs = storms > 1 ? LONG_TTLS_MS : SHORT_TTLS_MS;
  const laboratory = await Laboratory.open({ ...SIZE, ownTtlsMs, prefix: `s${seed}-`, ...(world ? { world } : {}) });
  let findings: Finding[];
  try {
    for (const storm of schedule.storms) {
      await play(laboratory, storm);
      await laboratory.quiet();
    }
    findings = await laboratory.close();
  } catch (error) {
    await laboratory.stop().catch(() => {});
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    findings = [...laboratory.findings, { kind: 'process', text: `The laboratory failed: ${text}` }];
  }
  const tookMs = performance.now() - from;
  return { seed, findings, tookMs, report: reportOf(schedule, findings, laboratory) };
}

function reportOf(schedule: Schedule, findings: Finding[], { journal, world, begun }: Laboratory): string {
  if (findings.length === 0) return `seed ${schedule.seed}: nothing found`;
  const list = findings.map(({ kind, text }) => `  ${kind}: ${text}`);
  return [
    `seed ${schedule.seed}: ${findings.length} findings`,
    ...list,
    inWords(schedule),
    'disturbed (s):',
    ...world.disturbances.inWords(begun),
    'journal:',
    ...journal,
  ].join('\n');
}

/** Does what a storm consists of, each step at its time, whether or not the ones before are through. */
async function play(laboratory: Laboratory, { lasts, steps }: Schedule['storms'][number]): Promise<void> {
  const begun = Date.now();
  const under: Promise<unknown>[] = [];
  for (const step of steps) {
    await pause(begun + step.at - Date.now());
    laboratory.note(JSON.stringify(step));
    under.push(
      perform(laboratory, step).catch((error: Error) => {
        laboratory.findings.push({ kind: 'process', text: `${JSON.stringify(step)} failed: ${error.message}` });
      }),
    );
  }
  await pause(begun + lasts - Date.now());
  await Promise.all(under);
}

async function perform(laboratory: Laboratory, step: Step): Promise<void> {
  if ('do' in step) await act(laboratory, step);
  else if ('circle' in step) await inCircle(laboratory, step);
  else await befall(laboratory, step);
}

async function inCircle({ circle }: Laboratory, step: CircleDoing | CircleFault): Promise<void> {
  if (circle) await ('web' in step ? circle.act(step) : befallCircle(circle, step));
}

async function act(laboratory: Laboratory, step: Doing): Promise<void> {
  const person = laboratory.person(step.who);
  const device = person.device(step.device);
  switch (step.do) {
    case 'come':
      return device.come(step.web);
    case 'move':
      return device.moveTo(step.web);
    case 'leave':
      return device.leave();
    case 'go silent':
      return device.goSilent();
    case 'break':
      return device.breakLine();
    case 'idle':
      return device.be('idle');
    case 'beat':
      return device.be('active');
    case 'hide':
      return person.hide();
    case 'hide for':
      return person.hide(step.ms);
    case 'show':
      return person.show();
    case 'log out':
      return person.logOutOneDevice(device);
    case 'log out everywhere':
      return person.logOutEverywhere(step.web);
    case 'lease':
      return person.lease(
        `lease${step.device}`,
        { ...step, rooms: step.rooms?.map((room) => laboratory.rooms.roomIds[room] ?? '') ?? null },
        step.web,
      );
    case 'say':
      return person.say(step.device, step.lastsMs, step.web);
    case 'end source':
      return person.endSource(step.device, step.web);
    case 'join room':
      return device.joinRoom(laboratory.rooms.roomIds[step.room] ?? '');
    case 'leave room':
      return device.leaveRoom(laboratory.rooms.roomIds[step.room] ?? '');
    case 'end lease':
      return person.endLease(`lease${step.device}`, step.web);
  }
}

/** Begins a fault and ends it after its time. One that is under way already is left alone. */
async function befall(laboratory: Laboratory, step: Fault): Promise<void> {
  const { world } = laboratory;
  const { redis } = world;
  const wait = () => pause(step.lasts);
  if ('member' in step) return befallMember(memberOf(laboratory, step.member), step);
  const store = step.fault.includes('postgres') ? 'postgres' : 'redis';
  if (world.disturbances.isOn(store)) return;
  switch (step.fault) {
    case 'pause redis':
      await redis.freeze();
      await wait();
      return redis.thaw();
    case 'stop redis':
    case 'kill redis':
      await redis.stopPrimary(step.fault === 'kill redis');
      await wait();
      return redis.startPrimary();
    case 'empty redis':
      return redis.restartEmpty();
    case 'flush redis':
      return redis.flush();
    case 'fail over':
      redis.isolateReplica();
      await pause(Math.min(step.lasts, 1200));
      return redis.failOver();
    case 'stop postgres':
      await world.stopPostgres();
      break;
    case 'starve postgres':
      await world.starvePostgres();
      break;
    case 'slow postgres':
      world.slowPostgres(step.ms);
      break;
  }
  await wait();
  await world.mendPostgres();
}

async function befallMember(member: Member, step: Fault & { member: Target }): Promise<void> {
  switch (step.fault) {
    case 'kill':
    case 'terminate':
      await (step.fault === 'kill' ? member.kill() : member.terminate());
      await pause(step.lasts);
      return member.start();
    case 'freeze':
      member.freeze();
      await pause(step.lasts);
      return member.thaw();
    case 'move the clock':
      return member.moveClock();
    case 'cut from redis':
      member.loseRedis('cut');
      break;
    case 'refuse redis':
      member.loseRedis('refuse');
      break;
    case 'slow redis':
      member.loseRedis(step.ms);
      break;
  }
  await pause(step.lasts);
  member.mendRedis();
}

function memberOf({ world }: Laboratory, { kind, n }: Target): Member {
  const member = (kind === 'web' ? world.webs : world.workers)[n];
  if (!member) throw new Error(`There is no ${kind} ${n}`);
  return member;
}

function pause(ms: number): Promise<void> {
  return ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : Promise.resolve();
}
