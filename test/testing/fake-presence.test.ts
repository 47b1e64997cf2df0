import { afterEach, expect, test, vi } from 'vitest';
import { formatLastSeen, type Presence, type PresenceClient, PresenceError } from '../../src/client/index.ts';
import { createFakePresence, type FakePresenceOptions } from '../../src/testing/index.ts';

afterEach(() => vi.restoreAllMocks());

const MORNING = '2026-03-02T09:00:00.000Z';

/** A fake that is connected, and all that a watcher of some users hears. */
function watching(userIds: string[], options: FakePresenceOptions = {}) {
  const fake = createFakePresence({ now: MORNING, ...options });
  const heard: string[] = [];
  fake.connect();
  const end = fake.watch(userIds, (changed) => heard.push(changed.map(told).join(', ')));
  return { fake, heard, end };
}
const told = ({ userId, status, lastSeen }: Presence) => `${userId} ${status} ${lastSeen?.slice(11, 19) ?? 'never'}`;
const seen = (client: PresenceClient, userId: string) => {
  const presence = client.get(userId);
  return presence && told(presence);
};
const nextTurn = () => new Promise<void>((resolve) => queueMicrotask(resolve));

test('who comes is online, and who leaves was last seen when they left, by the clock of the test', () => {
  const { fake } = watching(['ada', 'bob']);
  expect([seen(fake, 'ada'), seen(fake, 'bob')]).toEqual(['ada inactive never', 'bob inactive never']);
  fake.come('ada', 'bob');
  fake.advance(60_000);
  fake.leave('bob');
  expect([seen(fake, 'ada'), seen(fake, 'bob')]).toEqual(['ada active 09:00:00', 'bob inactive 09:01:00']);
  fake.advance(5 * 60_000);
  expect(formatLastSeen(fake.get('bob')?.lastSeen, fake.now(), 'en')).toBe('5 minutes ago');
});

test('a watcher hears of whom it watches: the first picture a moment later, each change at once, nothing after its end', async () => {
  const { fake, heard, end } = watching(['ada'], { users: { ada: { status: 'active' }, bob: { status: 'active' } } });
  expect(heard).toEqual([]);
  await nextTurn();
  expect(heard).toEqual(['ada active 09:00:00']);
  fake.leave('ada', 'bob');
  expect(heard.at(-1)).toBe('ada inactive 09:00:00');
  end();
  fake.come('ada');
  await nextTurn();
  expect(heard).toHaveLength(2);
  expect(fake.get('ada')).toBeUndefined();
});

test('what a test says of a user is all that changes, and the same again is no change', () => {
  const { fake, heard } = watching(['ada']);
  fake.set('ada', { status: 'active', detail: { availability: 'busy', text: '', emoji: '☕' } });
  const before = fake.get('ada');
  expect(before).toMatchObject({ status: 'active', detail: { availability: 'busy', emoji: '☕' } });
  fake.set('ada', { detail: { availability: 'busy', emoji: '☕' } });
  expect(fake.get('ada')).toBe(before);
  fake.set('ada', { lastSeen: null, status: 'inactive' });
  const idle = { idle: false, idleSince: null };
  expect(fake.get('ada')).toEqual({
    userId: 'ada',
    status: 'inactive',
    lastSeen: null,
    detail: before?.detail,
    ...idle,
  });
  expect(heard).toHaveLength(2);
});

test('typing is shown to who looks at the conversation, ends after six seconds of the clock, and earlier when the message is sent', () => {
  const { fake } = watching([]);
  const lobby = () => fake.indicators('lobby').map(({ userId, kind }) => `${userId} ${kind}`);
  fake.type('ada', 'lobby');
  fake.watchIndicators('lobby', () => {});
  expect(lobby()).toEqual(['ada typing']);
  fake.advance(3000);
  fake.type('ada', 'lobby');
  fake.type('bob', 'lobby', 'recording_audio');
  fake.advance(4000);
  expect(lobby()).toEqual(['ada typing', 'bob recording_audio']);
  fake.advance(2000);
  expect(lobby()).toEqual([]);
  fake.type('ada', 'lobby');
  fake.stopTyping('ada', 'lobby');
  fake.type('bob', 'lobby');
  fake.leave('bob');
  fake.type('me', 'lobby');
  expect(lobby()).toEqual([]);
});

test('a lost connection hears of nothing, refuses what is asked, and has the truth when it is back', async () => {
  const { fake, heard } = watching(['ada', 'bob']);
  fake.come('ada');
  fake.lose(new PresenceError('NOT_CONNECTED', 'no network'));
  expect(fake.connection.get()).toMatchObject({ status: 'reconnecting', error: { code: 'NOT_CONNECTED' } });
  fake.leave('ada');
  expect(seen(fake, 'ada')).toBe('ada active 09:00:00');
  await expect(fake.setStatus('inactive')).rejects.toMatchObject({ code: 'NOT_CONNECTED' });
  const changes: unknown[] = [];
  fake.onChange((told) => changes.push(told));
  fake.restore();
  expect(fake.connection.get().status).toBe('connected');
  expect(heard.at(-1)).toBe('ada inactive 09:00:00');
  expect(changes).toEqual([]);
});

test('before there is a connection nobody is known, and who waits for it sees everybody when it comes about', () => {
  const fake = createFakePresence({ users: { ada: { status: 'active' } } });
  fake.lose();
  fake.connect();
  fake.watch(['ada'], () => {});
  expect([fake.connection.get().status, fake.get('ada'), fake.userId]).toEqual(['connecting', undefined, undefined]);
  fake.restore();
  expect([fake.get('ada')?.status, fake.userId]).toEqual(['active', 'me']);
});

test('what I set is what others would see of me, and ends by the clock', async () => {
  const { fake } = watching(['grace'], { userId: 'grace' });
  expect(fake.get('grace')?.status).toBe('active');
  await fake.setDetail({ text: 'In a meeting', expiresInSeconds: 60 });
  expect(await fake.setStatus('inactive', { expiresInSeconds: 30 })).toMatchObject({ status: 'inactive' });
  expect(fake.get('grace')).toMatchObject({ status: 'inactive', detail: { text: 'In a meeting' } });
  fake.advance(30_000);
  expect(fake.get('grace')?.status).toBe('active');
  fake.advance(30_000);
  expect(fake.get('grace')?.detail).toEqual({});
});

test('the next thing asked is refused with the code that a test wants, and only that', async () => {
  const { fake } = watching([]);
  fake.refuse('RATE_LIMITED', 'Too often.', 1000);
  await expect(fake.setDetail({ text: 'hi' })).rejects.toEqual(new PresenceError('RATE_LIMITED', 'Too often.', 1000));
  await expect(fake.setDetail({ text: 'hi' })).resolves.toBeUndefined();
  const errors: string[] = [];
  fake.onError(({ code }) => errors.push(code));
  fake.refuse('FORBIDDEN');
  fake.watchIndicators('secret', () => {});
  await nextTurn();
  fake.watch(['not an id'], () => {});
  expect(errors).toEqual(['FORBIDDEN', 'INVALID_USER_ID']);
});

test('everybody is told of to a client of everyone, but of itself', () => {
  const { fake } = watching([], { audience: 'everyone', users: { ada: { status: 'active' }, bob: {} } });
  const all = () => fake.everyone.get().map(told);
  expect(all()).toEqual(['ada active 09:00:00', 'me active 09:00:00']);
  fake.come('bob');
  expect(all()).toContain('bob active 09:00:00');
});

test('a logout, here or elsewhere, closes it, and an alert is heard', async () => {
  const { fake } = watching([]);
  const alerts: string[] = [];
  fake.onFriendActive(({ userId, at }) => alerts.push(`${userId} ${at}`));
  fake.alert('ada');
  expect(alerts).toEqual([`ada ${MORNING}`]);
  fake.end('replaced');
  expect(fake.connection.get()).toMatchObject({ status: 'closed', reason: 'replaced' });
  fake.connect();
  await fake.logout();
  expect(fake.connection.get()).toMatchObject({ status: 'closed', reason: 'logout' });
});

test('no timer runs, whatever is done, and the last who lets go closes it', async () => {
  const timers = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(globalThis, 'setInterval')];
  const fake = createFakePresence();
  const letGo = fake.connect();
  const end = fake.watch(['ada'], () => {});
  fake.come('ada');
  fake.typing('lobby');
  fake.type('ada', 'lobby');
  await fake.setStatus('inactive', { expiresInSeconds: 60 });
  fake.advance(60_000);
  fake.lose();
  fake.restore();
  end();
  letGo();
  // StrictMode takes hold again in the same turn.
  const again = fake.connect();
  await nextTurn();
  expect(fake.connection.get().status).toBe('connected');
  again();
  await nextTurn();
  expect(fake.connection.get()).toMatchObject({ status: 'closed', reason: 'closed' });
  for (const timer of timers) expect(timer).not.toHaveBeenCalled();
});

test('time goes forward alone', () => {
  const fake = createFakePresence();
  expect(() => fake.advance(-1)).toThrow('Time goes forward');
});
