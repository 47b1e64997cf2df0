import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createIndicators } from '../../src/client/indicators.ts';
import { PresenceError } from '../../src/client/presence-error.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function world(refusal?: PresenceError) {
  const sent: string[] = [];
  const errors: string[] = [];
  const indicators = createIndicators(
    async (event, payload) => {
      sent.push(`${event} ${Object.values({ ...payload }).join(' ')}`);
      if (refusal) throw refusal;
      return {} as never;
    },
    (error) => errors.push(error.code),
  );
  return { indicators, sent, errors };
}

const change = (userId: string, active: boolean, conversationId = 'lobby') => ({
  conversationId,
  userId,
  kind: 'typing' as const,
  active,
});

test('a key stroke every 100 ms is told every three seconds, and the end of it once', () => {
  const { indicators, sent } = world();
  for (let stroke = 0; stroke < 70; stroke += 1) {
    indicators.start('lobby', 'typing');
    vi.advanceTimersByTime(100);
  }
  expect(sent).toEqual(Array(3).fill('start_indicator lobby typing'));
  indicators.stop('lobby', 'typing');
  indicators.stop('lobby', 'typing');
  expect(sent.slice(3)).toEqual(['stop_indicator lobby typing']);
});

test('a clock that is set back by an hour does not silence somebody who types', () => {
  const { indicators, sent } = world();
  indicators.start('lobby', 'typing');
  vi.setSystemTime(Date.now() - 3_600_000);
  vi.advanceTimersByTime(3000);
  indicators.start('lobby', 'typing');
  expect(sent).toHaveLength(2);
});

test('typing and recording, here and there, are told independently', () => {
  const { indicators, sent } = world();
  indicators.start('lobby', 'typing');
  indicators.start('lobby', 'recording_audio');
  indicators.start('kitchen', 'typing');
  expect(sent).toHaveLength(3);
});

test('a conversation is joined once however many look at it, and left when nobody does', async () => {
  const { indicators, sent } = world();
  const ends = [1, 2, 3].map(() => indicators.watch('lobby', () => {}));
  ends[0]?.();
  ends[0]?.();
  await vi.advanceTimersByTimeAsync(0);
  expect(sent).toEqual(['join_conversation lobby']);
  ends[1]?.();
  ends[2]?.();
  await vi.advanceTimersByTimeAsync(0);
  expect(sent).toEqual(['join_conversation lobby', 'leave_conversation lobby']);
});

test('who types is shown once, and only in that conversation', () => {
  const { indicators } = world();
  let told = 0;
  indicators.watch('lobby', () => {
    told += 1;
  });
  indicators.changed(change('ada', true));
  indicators.changed(change('ada', true));
  indicators.changed(change('bob', true, 'kitchen'));
  expect(indicators.get('lobby')).toEqual([{ userId: 'ada', kind: 'typing' }]);
  indicators.changed(change('ada', false));
  indicators.changed(change('ada', false));
  expect(indicators.get('lobby')).toEqual([]);
  expect(told).toBe(2);
});

test('when the connection is lost nobody is shown typing for ever, and the next one joins again', () => {
  const { indicators, sent } = world();
  indicators.watch('lobby', () => {});
  indicators.changed(change('ada', true));
  indicators.lost();
  expect(indicators.get('lobby')).toEqual([]);
  indicators.connected();
  expect(sent).toEqual(['join_conversation lobby', 'join_conversation lobby']);
});

test('a conversation that one may not join is an error, not being connected yet is none', async () => {
  const forbidden = world(new PresenceError('FORBIDDEN', 'no'));
  forbidden.indicators.watch('lobby', () => {});
  await vi.advanceTimersByTimeAsync(0);
  expect(forbidden.errors).toEqual(['FORBIDDEN']);
  const offline = world(new PresenceError('NOT_CONNECTED', 'not yet'));
  offline.indicators.watch('lobby', () => {});
  await vi.advanceTimersByTimeAsync(0);
  expect(offline.errors).toEqual([]);
});
