import { afterEach, expect, test, vi } from 'vitest';
import { createPeople } from '../../src/client/people.ts';
import { PresenceError } from '../../src/client/presence-error.ts';
import type { Told } from '../../src/client/presence-state.ts';
import { createWatching } from '../../src/client/watching.ts';
import { ERRORS } from '../../src/protocol/errors.ts';

interface Request {
  event: string;
  userIds: string[];
  answer(users: Told[], pending?: string[]): Promise<void>;
  refuse(code: string): Promise<void>;
}

/** The wire's far end is the test itself: it sees every request and answers when it likes. */
function world() {
  const requests: Request[] = [];
  const errors: PresenceError[] = [];
  const people = createPeople();
  const connection = { up: true };
  const watching = createWatching(
    people,
    {
      connected: () => connection.up,
      request: (event, payload) =>
        new Promise<never>((resolve, reject) => {
          requests.push({
            event,
            userIds: (payload as { userIds: string[] }).userIds,
            async answer(users, pending) {
              resolve({ ok: true, users, pending } as never);
              await settled();
            },
            async refuse(code) {
              reject(new PresenceError(code, code));
              await settled();
            },
          });
        }),
    },
    (error) => errors.push(error),
  );
  const watch = (userIds: string[], listener: (changed: readonly unknown[]) => void = () => {}) => {
    people.add(userIds, listener);
    watching.flushSoon();
    return () => {
      people.remove(userIds, listener);
      watching.flushSoon();
    };
  };
  /** The only one so far, or the n-th. */
  const request = (n = 0): Request => {
    const found = requests[n];
    if (!found) throw new Error(`There were ${requests.length} requests.`);
    return found;
  };
  return { people, watching, requests, request, errors, watch, connection };
}

afterEach(() => {
  vi.useRealTimers();
});

const settled = async () => {
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
};
const told = (userId: string, version: number, status: Told['status'] = 'active'): Told => ({
  userId,
  status,
  lastSeen: null,
  version,
});

test('twenty components that watch one user cost one watch', async () => {
  const { requests, request, watch } = world();
  const ends = Array.from({ length: 20 }, () => watch(['ada'], () => {}));
  await settled();
  expect(requests).toHaveLength(1);
  expect(request()).toMatchObject({ event: 'watch', userIds: ['ada'] });
  await request().answer([told('ada', 1)]);
  for (const end of ends.slice(1)) end();
  await settled();
  expect(requests).toHaveLength(1);
  ends[0]?.();
  await settled();
  expect(request(1)).toMatchObject({ event: 'unwatch', userIds: ['ada'] });
});

test('what is wanted in one tick is asked in one request, and who comes and goes in it is not asked for', async () => {
  const { requests, request, watch } = world();
  watch(['ada']);
  watch(['bob', 'cem']);
  watch(['dee'])();
  await settled();
  expect(requests).toHaveLength(1);
  expect(request().userIds).toEqual(['ada', 'bob', 'cem']);
});

test('letting go and taking hold in one tick, as StrictMode does, says nothing to the server', async () => {
  const { requests, request, watch } = world();
  const end = watch(['ada']);
  await settled();
  await request().answer([told('ada', 1)]);
  end();
  watch(['ada']);
  await settled();
  expect(requests).toHaveLength(1);
});

test('an event that overtakes its snapshot is held back and counts afterwards', async () => {
  const { people, watching, request, watch } = world();
  const seen: unknown[] = [];
  watch(['ada'], (changed) => seen.push(...changed));
  await settled();
  watching.events([told('ada', 7, 'inactive')]);
  expect(people.get('ada')).toBeUndefined();
  await request().answer([told('ada', 5)]);
  expect(people.get('ada')).toMatchObject({ status: 'inactive' });
  watching.events([told('ada', 6)]);
  expect(people.get('ada')).toMatchObject({ status: 'inactive' });
});

test('an event that overtook a newer snapshot is dropped', async () => {
  const { people, watching, request, watch } = world();
  watch(['ada']);
  await settled();
  watching.events([told('ada', 4, 'inactive')]);
  await request().answer([told('ada', 5)]);
  expect(people.get('ada')).toMatchObject({ status: 'active' });
});

test('of a user let go and asked for anew, the later answer is the one that holds', async () => {
  const { people, request, watch } = world();
  const end = watch(['ada']);
  await settled();
  end();
  await settled();
  watch(['ada']);
  await settled();
  expect(request(2)).toMatchObject({ event: 'watch', userIds: ['ada'] });
  await request(0).answer([told('ada', 1)]);
  expect(people.get('ada')).toBeUndefined();
  await request(2).answer([told('ada', 3, 'inactive')]);
  expect(people.get('ada')).toMatchObject({ status: 'inactive' });
});

test('events about somebody who is not watched are dropped', async () => {
  const { people, watching } = world();
  watching.events([told('eve', 1)]);
  expect(people.get('eve')).toBeUndefined();
});

test('who cannot be known right now follows as an event, whatever its version', async () => {
  const { people, watching, request, watch } = world();
  watch(['ada']);
  await settled();
  await request().answer([told('ada', 9)]);
  watching.lost();
  watching.connected(['ada'], []);
  expect(people.get('ada')).toMatchObject({ status: 'active' });
  watching.events([told('ada', 2, 'inactive')]);
  expect(people.get('ada')).toMatchObject({ status: 'inactive' });
});

test('after a gap the handshake names everybody, and its snapshot replaces what was known', async () => {
  const { people, watching, requests, request, watch } = world();
  watch(['ada', 'bob']);
  await settled();
  await request().answer([told('ada', 9), told('bob', 9)]);
  watching.lost();
  expect(watching.forHandshake()).toEqual(['ada', 'bob']);
  watching.connected(['ada', 'bob'], [told('ada', 3, 'inactive'), told('bob', 4)]);
  watching.flush();
  expect(people.get('ada')).toMatchObject({ status: 'inactive' });
  expect(requests).toHaveLength(1);
});

test('too many: a clear error, no asking in a circle, and another try when there is room', async () => {
  const { requests, request, errors, watch } = world();
  const end = watch(['ada']);
  await settled();
  await request().answer([told('ada', 1)]);
  watch(['bob']);
  await settled();
  await request(1).refuse('TOO_MANY_WATCHED');
  expect(errors.map((error) => error.code)).toEqual(['TOO_MANY_WATCHED']);
  watch(['bob']);
  await settled();
  expect(requests).toHaveLength(2);
  end();
  await settled();
  expect(requests.slice(2).map(({ event, userIds }) => [event, userIds])).toEqual([
    ['unwatch', ['ada']],
    ['watch', ['bob']],
  ]);
});

const mayGoWellLater = Object.entries(ERRORS).flatMap(([code, { retry }]) =>
  retry && code !== 'HEARTBEAT_TOO_SOON' ? [code] : [],
);

test.each(mayGoWellLater)(
  'refused with %s, which may go well later, a watch is asked for again by itself',
  async (code) => {
    vi.useFakeTimers();
    const { requests, request, errors, watch } = world();
    watch(['ada']);
    await settled();
    await request().refuse(code);
    vi.runOnlyPendingTimers();
    await settled();
    expect(requests.map(({ event }) => event)).toEqual(['watch', 'watch']);
    expect(errors).toEqual([]);
  },
);

test('whom the server could not let go of is let go later, and takes the place of nobody', async () => {
  vi.useFakeTimers();
  const { requests, request, errors, watch } = world();
  const end = watch(['ada']);
  await settled();
  await request().answer([told('ada', 1)]);
  end();
  watch(['bob']);
  await settled();
  await request(2).refuse('TOO_MANY_WATCHED');
  await request(1).refuse('RATE_LIMITED');
  expect(requests).toHaveLength(3);
  vi.runOnlyPendingTimers();
  await settled();
  expect(requests.slice(3).map(({ event, userIds }) => [event, userIds])).toEqual([
    ['unwatch', ['ada']],
    ['watch', ['bob']],
  ]);
  await request(3).answer([]);
  await request(4).answer([told('bob', 1)]);
  expect(errors).toEqual([]);
});

test('no room while somebody is on the way out: asked again once they are out', async () => {
  const { requests, request, errors, watch } = world();
  const end = watch(['ada']);
  await settled();
  await request().answer([told('ada', 1)]);
  end();
  watch(['bob']);
  await settled();
  await request(2).refuse('TOO_MANY_WATCHED');
  await request(1).answer([]);
  expect(requests.slice(3).map(({ event, userIds }) => [event, userIds])).toEqual([['watch', ['bob']]]);
  await request(3).refuse('TOO_MANY_WATCHED');
  expect(requests).toHaveLength(4);
  expect(errors.map((error) => error.code)).toEqual(['TOO_MANY_WATCHED']);
});

test('wanted again before the server could be told to let go: asked for anew, and not let go', async () => {
  vi.useFakeTimers();
  const { people, requests, request, watch } = world();
  const end = watch(['ada']);
  await settled();
  await request().answer([told('ada', 1)]);
  end();
  await settled();
  await request(1).refuse('UNAVAILABLE');
  watch(['ada']);
  await settled();
  await request(2).answer([told('ada', 2, 'inactive')]);
  vi.runOnlyPendingTimers();
  await settled();
  expect(requests.map(({ event }) => event)).toEqual(['watch', 'unwatch', 'watch']);
  expect(people.get('ada')).toMatchObject({ status: 'inactive' });
});

test('a watch that the server may have taken without our hearing of it is let go when nobody wants it any more', async () => {
  vi.useFakeTimers();
  const { requests, request, watch } = world();
  const end = watch(['ada']);
  await settled();
  await request().refuse('TIMEOUT');
  end();
  await settled();
  expect(requests.slice(1).map(({ event, userIds }) => [event, userIds])).toEqual([['unwatch', ['ada']]]);
  await request(1).answer([]);
  vi.runOnlyPendingTimers();
  await settled();
  expect(requests).toHaveLength(2);
});

test('more than a message may hold goes in several', async () => {
  const { requests, watch } = world();
  watch(Array.from({ length: 2500 }, (_, n) => `user-${n}`));
  await settled();
  expect(requests.map(({ userIds }) => userIds.length)).toEqual([1000, 1000, 500]);
});

test('one frame with many changes calls a listener once, with those that it watches', async () => {
  const { watching, request, watch } = world();
  const calls: unknown[][] = [];
  watch(['ada', 'bob', 'cem'], (changed) => calls.push([...changed]));
  watch(['dee']);
  await settled();
  await request().answer(['ada', 'bob', 'cem', 'dee'].map((userId) => told(userId, 1)));
  calls.length = 0;
  watching.events([told('ada', 2, 'inactive'), told('bob', 2, 'inactive'), told('cem', 1), told('dee', 2, 'inactive')]);
  expect(calls).toEqual([[expect.objectContaining({ userId: 'ada' }), expect.objectContaining({ userId: 'bob' })]]);
});

test('a listener that throws does not keep the others from hearing', async () => {
  const { people, request, watch } = world();
  const heard: string[] = [];
  const caught = new Promise((resolve) => process.once('uncaughtException', resolve));
  watch(['ada'], () => {
    throw new Error('my own fault');
  });
  watch(['ada'], () => heard.push('ada'));
  await settled();
  await request().answer([told('ada', 1)]);
  expect(heard).toEqual(['ada']);
  expect(people.get('ada')).toBeDefined();
  await expect(caught).resolves.toMatchObject({ message: 'my own fault' });
});

test('nothing is kept of those whom nobody watches any more', async () => {
  const { people, request, watch } = world();
  const end = watch(['ada']);
  await settled();
  await request().answer([told('ada', 1)]);
  end();
  await settled();
  expect(people.get('ada')).toBeUndefined();
  expect(people.everyone.get()).toEqual([]);
});
