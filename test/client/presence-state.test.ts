import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  applyAbsence,
  applyChange,
  applySnapshot,
  awaitAnswer,
  type Known,
  type Told,
} from '../../src/client/presence-state.ts';
import { DETAIL_FIELDS } from '../../src/presence/change.ts';

const told = (version: number, more: Partial<Told> = {}): Told => ({
  userId: 'ada',
  status: 'active',
  lastSeen: '2026-01-01T00:00:00.000Z',
  version,
  ...more,
});

test('an event that is newer replaces what was known', () => {
  const known = applyChange(applySnapshot(undefined, told(5)), told(6, { status: 'inactive' }));
  expect(known).toMatchObject({ version: 6, presence: { userId: 'ada', status: 'inactive' } });
});

test('an event that is older, or the same once more, changes nothing', () => {
  const known = applySnapshot(undefined, told(5));
  expect(applyChange(known, told(5, { status: 'inactive' }))).toBe(known);
  expect(applyChange(known, told(4, { status: 'inactive' }))).toBe(known);
});

test('a snapshot replaces what was known, also with a lower version', () => {
  const known = applySnapshot(applySnapshot(undefined, told(9)), told(0, { status: 'inactive', lastSeen: null }));
  expect(known).toMatchObject({ version: 0, presence: { status: 'inactive', lastSeen: null } });
  expect(applyChange(known, told(1)).presence.status).toBe('active');
});

test('nobody renders again for news that show nothing new', () => {
  const known = applySnapshot(undefined, told(5, { detail: { text: 'hi' } }));
  const later = applyChange(known, told(6));
  expect(later.version).toBe(6);
  expect(later.presence).toBe(known.presence);
  expect(applySnapshot(known, told(7, { detail: { text: 'hi' } })).presence).toBe(known.presence);
});

test.each(DETAIL_FIELDS)(
  'a detail whose %s alone is another is another, and the order of its fields says nothing',
  (field) => {
    const detail = { emoji: '📅', text: 'hi', availability: 'busy' } as const;
    const known = applySnapshot(undefined, told(5, { detail }));
    const { [field]: _, ...less } = detail;
    expect(applyChange(known, told(6, { detail: less })).presence.detail).toEqual(less);
    const { availability, text, emoji } = detail;
    expect(applyChange(known, told(6, { detail: { availability, text, emoji } })).presence).toBe(known.presence);
  },
);

test('an event without a detail keeps the detail, a snapshot without one clears it', () => {
  const known = applySnapshot(undefined, told(5, { detail: { text: 'hi', availability: 'busy' } }));
  expect(applyChange(known, told(6, { status: 'inactive' })).presence.detail).toEqual({
    text: 'hi',
    availability: 'busy',
  });
  expect(applyChange(known, told(6, { detail: {} })).presence.detail).toEqual({});
  expect(applySnapshot(known, told(6)).presence.detail).toEqual({});
});

test('who is idle is so until told otherwise, whatever else is told meanwhile, and is not once they are away', () => {
  const since = '2026-01-01T00:05:00.000Z';
  const idle = applySnapshot(undefined, told(5, { detail: { text: 'hi', idle: true, idleSince: since } }));
  expect(idle.presence).toMatchObject({ idle: true, idleSince: since, detail: { text: 'hi' } });
  // What the user says can be said again as it stands.
  expect(idle.presence.detail).toEqual({ text: 'hi' });
  expect(applyChange(idle, told(6)).presence).toBe(idle.presence);
  expect(applyChange(idle, told(6, { lastSeen: since })).presence).toMatchObject({ idle: true, idleSince: since });
  expect(applyChange(idle, told(6, { detail: { text: 'hi' } })).presence).toMatchObject({
    idle: false,
    idleSince: null,
  });
  // Since when is not for everybody.
  expect(applyChange(idle, told(6, { detail: { idle: true } })).presence).toMatchObject({
    idle: true,
    idleSince: null,
  });
  expect(applySnapshot(idle, told(7)).presence).toMatchObject({ idle: false, idleSince: null });
  expect(applyAbsence(idle).presence).toMatchObject({ idle: false, idleSince: null, detail: { text: 'hi' } });
});

test('whoever a snapshot of all does not name is away, with the last seen as far as it is known', () => {
  const gone = applyAbsence(applySnapshot(undefined, told(5)));
  expect(gone.presence).toMatchObject({ status: 'inactive', lastSeen: '2026-01-01T00:00:00.000Z' });
  expect(applyChange(gone, told(1)).presence.status).toBe('active');
});

test('while an answer is awaited the old state stays on show, and any answer is newer', () => {
  const known = awaitAnswer(applySnapshot(undefined, told(5)));
  expect(known.presence.status).toBe('active');
  expect(applyChange(known, told(0, { status: 'inactive' })).presence.status).toBe('inactive');
});

test('in whatever order and however often events come, the newest one stays', () => {
  const statuses = fc.constantFrom('active' as const, 'inactive' as const);
  const events = fc.uniqueArray(fc.record({ version: fc.integer({ min: 1, max: 50 }), status: statuses }), {
    selector: (event) => event.version,
    minLength: 1,
  });
  const withOrder = events.chain((list) =>
    fc.tuple(
      fc.constant(list),
      fc.shuffledSubarray([...list, ...list], { minLength: list.length * 2, maxLength: list.length * 2 }),
    ),
  );
  fc.assert(
    fc.property(withOrder, fc.integer({ min: 0, max: 50 }), ([list, arriving], snapshotVersion) => {
      const snapshot = applySnapshot(undefined, told(snapshotVersion));
      const end = arriving.reduce<Known>((known, event) => applyChange(known, told(event.version, event)), snapshot);
      const newest = list.reduce((a, b) => (a.version > b.version ? a : b));
      const expected = newest.version > snapshotVersion ? newest.status : 'active';
      return end.presence.status === expected;
    }),
  );
});
