import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createHeartbeat } from '../../src/client/heartbeat.ts';
import { PresenceError } from '../../src/client/presence-error.ts';

const INTERVAL_MS = 30_000;
const LEAST_GAP_MS = 5000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function world(answers: (() => Promise<unknown>)[] = []) {
  const beats: { at: number; activity: string }[] = [];
  const begin = Date.now();
  const heartbeat = createHeartbeat((activity) => {
    beats.push({ at: Date.now() - begin, activity });
    return answers.shift()?.() ?? Promise.resolve();
  });
  return { beats, heartbeat };
}

test('a ping of the server is answered with a heartbeat', () => {
  const { beats, heartbeat } = world();
  heartbeat.start(INTERVAL_MS);
  for (let n = 0; n < 4; n += 1) {
    vi.advanceTimersByTime(25_000);
    heartbeat.ping();
  }
  expect(beats.map(({ at }) => at)).toEqual([25_000, 50_000, 75_000, 100_000]);
});

test('pings in quick succession are not all answered: never more often than the server allows', () => {
  const { beats, heartbeat } = world();
  heartbeat.start(INTERVAL_MS);
  for (let n = 0; n < 100; n += 1) {
    heartbeat.ping();
    vi.advanceTimersByTime(100);
  }
  expect(beats.map(({ at }) => at)).toEqual([0, LEAST_GAP_MS]);
});

test('without any ping a timer stands in', async () => {
  const { beats, heartbeat } = world();
  heartbeat.start(INTERVAL_MS);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(beats).toHaveLength(3);
});

test('going idle is said at once, and coming back as soon as the server takes another heartbeat', async () => {
  const { beats, heartbeat } = world();
  heartbeat.start(INTERVAL_MS);
  heartbeat.setActivity('idle');
  await vi.advanceTimersByTimeAsync(1000);
  heartbeat.setActivity('active');
  await vi.advanceTimersByTimeAsync(10_000);
  expect(beats).toEqual([
    { at: 0, activity: 'idle' },
    { at: LEAST_GAP_MS, activity: 'active' },
  ]);
});

test('idle for a moment only, before it could be told, is not told', async () => {
  const { beats, heartbeat } = world();
  heartbeat.start(INTERVAL_MS);
  heartbeat.ping();
  await vi.advanceTimersByTimeAsync(100);
  heartbeat.setActivity('idle');
  await vi.advanceTimersByTimeAsync(100);
  heartbeat.setActivity('active');
  await vi.advanceTimersByTimeAsync(10_000);
  expect(beats.map(({ activity }) => activity)).not.toContain('idle');
});

test('a server with a longer minimum corrects us, and hears the change in the end', async () => {
  const tooSoon = () => Promise.reject(new PresenceError('HEARTBEAT_TOO_SOON', 'too soon', 8000));
  const { beats, heartbeat } = world([() => Promise.resolve(), tooSoon]);
  heartbeat.start(INTERVAL_MS);
  heartbeat.ping();
  await vi.advanceTimersByTimeAsync(0);
  heartbeat.setActivity('idle');
  await vi.advanceTimersByTimeAsync(20_000);
  expect(beats).toEqual([
    { at: 0, activity: 'active' },
    { at: LEAST_GAP_MS, activity: 'idle' },
    { at: LEAST_GAP_MS + 8000, activity: 'idle' },
  ]);
});

test('what was said on one connection is said again on the next', async () => {
  const { beats, heartbeat } = world();
  heartbeat.start(INTERVAL_MS);
  heartbeat.setActivity('idle');
  await vi.advanceTimersByTimeAsync(1000);
  heartbeat.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  heartbeat.start(INTERVAL_MS);
  await vi.advanceTimersByTimeAsync(0);
  expect(beats.map(({ activity }) => activity)).toEqual(['idle', 'idle']);
});

test('who was idle and has been back since the connection was lost says so on the next', async () => {
  const { beats, heartbeat } = world();
  heartbeat.start(INTERVAL_MS);
  heartbeat.setActivity('idle');
  await vi.advanceTimersByTimeAsync(1000);
  heartbeat.stop();
  heartbeat.setActivity('active');
  await vi.advanceTimersByTimeAsync(60_000);
  heartbeat.start(INTERVAL_MS);
  await vi.advanceTimersByTimeAsync(0);
  expect(beats.map(({ activity }) => activity)).toEqual(['idle', 'active']);
});

test('after a stop nothing is sent, whatever was planned', async () => {
  const { beats, heartbeat } = world();
  heartbeat.start(INTERVAL_MS);
  heartbeat.ping();
  heartbeat.setActivity('idle');
  heartbeat.stop();
  heartbeat.ping();
  heartbeat.soon();
  await vi.advanceTimersByTimeAsync(300_000);
  expect(beats).toHaveLength(1);
});

test.each([
  ['back', -86_400_000],
  ['ahead', 86_400_000],
])('a clock that is set %s by a day changes nothing', async (_, ms) => {
  const { beats, heartbeat } = world();
  heartbeat.start(INTERVAL_MS);
  heartbeat.ping();
  vi.setSystemTime(Date.now() + ms);
  heartbeat.ping();
  expect(beats).toHaveLength(1);
  for (let n = 0; n < 3; n += 1) {
    await vi.advanceTimersByTimeAsync(25_000);
    heartbeat.ping();
  }
  expect(beats).toHaveLength(4);
});
