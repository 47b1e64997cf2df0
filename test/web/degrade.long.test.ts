import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { publish } from '../../src/redis/delivery.ts';
import { createKeys } from '../../src/redis/keys.ts';
import { isActive, isInactive, Refused, rest, TestClient, tokenFor } from '../support/client.ts';
import { Deployment, eventually, type WebProgram } from '../support/deployment.ts';
import { LOCK, samplesOf } from '../support/metrics.ts';
import { webBehindLink } from '../support/resync.ts';

const TTL_MS = 12_000;
let rollcall: Deployment;
/** Its Redis can be made slow. */
let pressed: WebProgram;
let link: Awaited<ReturnType<typeof webBehindLink>>['link'];

beforeAll(async () => {
  const env = {
    AUDIENCE: 'watchers',
    PRESENCE_TTL_SECONDS: String(TTL_MS / 1000),
    HEARTBEAT_INTERVAL_SECONDS: '3',
    // Beats that a stall has piled up come together.
    HEARTBEAT_MIN_INTERVAL_SECONDS: '0',
    ...LOCK,
  };
  rollcall = await Deployment.start('degrade', { env });
  ({ web: pressed, link } = await webBehindLink(rollcall));
});
afterAll(async () => {
  await link?.close();
  await rollcall?.stop();
});

afterEach(() => {
  link.mend();
  pressed.kill('SIGCONT');
});

const levelOf = async () => (await rest(pressed.url, 'GET', '/readyz')).body.level;
const untilLevel = (level: number) => eventually(levelOf, (now) => now === level, 15_000);

/** One try, without the patience of the usual test client. */
async function knock(userId: string): Promise<TestClient> {
  return await new TestClient(pressed.url, { token: await tokenFor(userId), watch: [] }).welcomed();
}

/** Beats on, and notes what each beat was answered. */
function beatOn(client: TestClient): { answers: boolean[]; stop(): void } {
  const answers: boolean[] = [];
  const timer = setInterval(
    () =>
      void client
        .beat()
        .then(({ ok }) => answers.push(ok))
        .catch(() => {}),
    500,
  );
  return { answers, stop: () => clearInterval(timer) };
}

/** Twenty changes of one user, 40 ms apart, as a drain would hand them to the webs; returns in how many frames they came. */
async function framesOfTwentyChanges(watcher: TestClient, userId: string): Promise<number> {
  const keys = createKeys(rollcall.prefix, false);
  const before = watcher.frames.length;
  const version = Date.now();
  for (let n = 1; n <= 20; n++) {
    const at = Date.now();
    const change = { userId, status: 'active', lastSeen: at, version: version + n, at, cause: 'connect' } as const;
    await publish(rollcall.redis, keys, { shard: 0, items: [{ id: `${version}-${n}`, kind: 'change', change }] });
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  await watcher.hears(userId, (change) => change.version === version + 20);
  return watcher.frames.length - before;
}

describe('a web that is pressed by a slow Redis', () => {
  test('lengthens its batches first, then refuses newcomers, takes heartbeats all along, and recovers by itself', async () => {
    const outside = await TestClient.connect(rollcall.url, 'outside', { watch: ['here', 'comes'], heartbeat: 'pong' });
    const here = await TestClient.connect(pressed.url, 'here', { deviceId: 'laptop', watch: ['puppet'], batch: true });
    await outside.hears('here', isActive);
    const beats = beatOn(here);
    await untilLevel(0);
    const calmFrames = await framesOfTwentyChanges(here, 'puppet');

    link.delay(200);
    await untilLevel(1);
    const pressedFrames = await framesOfTwentyChanges(here, 'puppet');
    console.log(`twenty changes in ${calmFrames} frames at level 0, in ${pressedFrames} at level 1`);
    expect(pressedFrames).toBeLessThanOrEqual(calmFrames / 2);
    (await knock('welcome')).leave();

    link.delay(650);
    await untilLevel(2);
    expect((await samplesOf(pressed.url)).get('rollcall_degrade_level')).toBe(2);
    const refused = await knock('newcomer').catch((error) => error);
    expect(refused).toBeInstanceOf(Refused);
    expect(refused).toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: expect.any(Number) });
    expect(refused.retryAfterMs).toBeGreaterThanOrEqual(1000);
    // Whoever is here already is no newcomer: a second device, or one that lost its line, is let in.
    (await knock('here')).leave();
    // For longer than the TTL.
    await new Promise((resolve) => setTimeout(resolve, TTL_MS + 2000));
    expect(await levelOf()).toBe(2);
    const { answers } = beats;
    expect(answers.length).toBeGreaterThan(20);
    expect(answers.every((ok) => ok)).toBe(true);
    expect(outside.statuses('here')).toEqual(['active']);

    link.delay(0);
    await untilLevel(0);
    // As the refusal asked it to.
    (await TestClient.connect(pressed.url, 'newcomer')).leave();
    beats.stop();
    expect(outside.of('here').filter(isInactive)).toEqual([]);
    for (const client of [here, outside]) client.leave();
  }, 120_000);
});

describe('a web whose event loop lags', () => {
  test('refuses newcomers, loses nobody who is here, and recovers by itself', async () => {
    const outside = await TestClient.connect(rollcall.url, 'outside', { watch: ['present'], heartbeat: 'pong' });
    const present = await TestClient.connect(pressed.url, 'present', { deviceId: 'laptop', watch: [] });
    await outside.hears('present', isActive);
    await untilLevel(0);
    const beats = beatOn(present);
    // Held still for most of the time, as by something that computes for long.
    const stutter = setInterval(() => {
      pressed.kill('SIGSTOP');
      setTimeout(() => pressed.kill('SIGCONT'), 650);
    }, 700);
    try {
      await untilLevel(2);
      const refused = await knock('late').catch((error) => error);
      expect(refused).toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: expect.any(Number) });
      await new Promise((resolve) => setTimeout(resolve, 5000));
    } finally {
      clearInterval(stutter);
      await new Promise((resolve) => setTimeout(resolve, 700));
      pressed.kill('SIGCONT');
    }
    await untilLevel(0);
    (await TestClient.connect(pressed.url, 'late')).leave();
    beats.stop();
    expect(beats.answers.length).toBeGreaterThan(2);
    expect(beats.answers.every((ok) => ok)).toBe(true);
    expect(outside.statuses('present')).toEqual(['active']);
    for (const client of [present, outside]) client.leave();
  }, 120_000);
});
