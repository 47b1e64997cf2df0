import type { io, Socket } from 'socket.io-client';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createConnection } from '../../src/client/connection.ts';
import { ERRORS } from '../../src/protocol/errors.ts';

beforeEach(() => {
  vi.useFakeTimers();
  // A look at why there is no connection finds nothing.
  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('fetch failed')));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** The codes that the server's table wants tried again like that. */
const codesThatComeBack = (how: 'soon' | 'slowly' | 'never') =>
  Object.entries(ERRORS).flatMap(([code, { reconnect }]) => (reconnect === how ? [code] : []));

/** The server's end is the test itself, so that hours pass in no time. `answer` says what becomes of each attempt. */
function world(answer: (attempt: number) => string | undefined) {
  const attempts: number[] = [];
  const errors: string[] = [];
  let fewer = 0;
  const open = () => {
    const heard = new Map<string, (error: Error) => void>();
    const code = answer(attempts.push(Date.now()));
    const error = Object.assign(new Error('websocket error'), code === '' ? {} : { data: { code, message: 'no' } });
    if (code !== undefined) queueMicrotask(() => heard.get('connect_error')?.(error));
    const far = { engine: { on() {} }, on() {}, off() {} };
    const on = (event: string, listener: (error: Error) => void) => heard.set(event, listener);
    return { io: far, on, off: () => heard.clear(), disconnect() {} } as unknown as Socket;
  };
  const connection = createConnection(
    { url: 'https://example.com', getToken: () => 'aa.bb.cc', io: open as unknown as typeof io },
    {
      handshake: () => ({}),
      ready() {},
      connected() {},
      lost() {},
      ping() {},
      refused({ code }) {
        if (code === 'TOO_MANY_WATCHED') fewer += 1;
        return false;
      },
      report: ({ code }) => errors.push(code),
    },
  );
  connection.start();
  const pauses = () => attempts.slice(1).map((at, index) => at - (attempts[index] ?? 0));
  return { pauses, errors, connection, fewer: () => fewer };
}

test.each(codesThatComeBack('slowly'))(
  '%s is tried again slower and slower, up to five minutes, and told once',
  async (code) => {
    const { pauses, errors, connection } = world(() => code);
    await vi.advanceTimersByTimeAsync(3_600_000);
    for (const [n, pause] of pauses().entries()) {
      const longest = Math.min(300_000, 500 * 2 ** n);
      expect(pause).toBeGreaterThanOrEqual(longest / 2);
      // Its own token is asked for between, and once a second at most.
      expect(pause).toBeLessThanOrEqual(longest + 1000);
    }
    expect(pauses().length).toBeGreaterThan(15);
    expect(errors).toEqual([code]);
    expect(connection.state.get()).toMatchObject({ status: 'connecting', error: { code } });
  },
);

test.each(['', ...codesThatComeBack('soon'), 'A_CODE_OF_A_LATER_SERVER'])(
  'a server that is away, or refuses for a time (%s), is tried every 15 s at least, however long',
  async (code) => {
    const { pauses } = world(() => code);
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(Math.max(...pauses())).toBeLessThanOrEqual(15_000);
  },
);

test('with too many watched it comes back soon, since the next handshake names fewer', async () => {
  const { pauses, fewer } = world((attempt) => (attempt === 1 ? 'TOO_MANY_WATCHED' : undefined));
  await vi.advanceTimersByTimeAsync(1000);
  expect([fewer(), pauses().length]).toEqual([1, 1]);
});

test('an attempt that hangs is given up after 20 s, and the next one follows without a pause', async () => {
  const { pauses } = world((attempt) => (attempt < 8 ? '' : undefined));
  await vi.advanceTimersByTimeAsync(600_000);
  const late = pauses().slice(8);
  expect(late.length).toBeGreaterThan(10);
  for (const pause of late) expect(pause).toBeLessThanOrEqual(20_100);
});

const forEver = codesThatComeBack('never').filter((code) => code !== 'TOO_MANY_WATCHED');

test.each(forEver)('%s ends it, with the reason', async (code) => {
  const { pauses, errors, connection } = world(() => code);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(pauses()).toEqual([]);
  expect(errors).toEqual([code]);
  expect(connection.state.get()).toMatchObject({ status: 'closed', reason: 'refused', error: { code } });
});

test('somebody who looks at the page again does not wait for a long pause to end', async () => {
  const { pauses, connection } = world(() => 'UNAUTHENTICATED');
  await vi.advanceTimersByTimeAsync(3_600_000);
  const before = pauses().length;
  connection.wake();
  await vi.advanceTimersByTimeAsync(1000);
  expect(pauses()).toHaveLength(before + 1);
});
