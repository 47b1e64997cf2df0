import { expect, test } from 'vitest';
import type { Detail, StoredUser } from '../../src/presence/change.ts';
import { applyStored, nextDue, stranger } from '../model/person.ts';
import { adopt, chooseActive, logOut, setDetail } from '../model/scripts.ts';
import { Ann, moment, TTL } from './people.ts';

const nothing: StoredUser = {
  version: 0,
  lastSeen: null,
  status: 'inactive',
  hidden: null,
  sources: [],
  detailRevision: 0,
  privacyRevision: 0,
};

test('appearing inactive is told at once and hides everything after, also leaving', () => {
  const ann = new Ann();
  ann.opens('1');
  expect(ann.at(1000).hides().told).toEqual(['inactive: manual']);
  ann.at(5000).beats('1');
  ann.at(6000).closes('1');
  expect(ann.settles().told).toEqual([]);
  expect(ann.at(7000).opens('2').told).toEqual([]);
  expect(ann.lastSeen).toBe(1000);
});

test('a choice that is over shows who is still here, and where they were last seen since', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.at(1000).hides(10_000);
  ann.at(9000).beats('1');
  expect(ann.at(11_000).settles().told).toEqual(['active: manual']);
  expect(ann.lastSeen).toBe(9000);
});

test('who left before their choice was over left unseen; who left after it did not', () => {
  const before = new Ann();
  before.opens('1');
  before.at(1000).hides(TTL + 5000);
  before.at(2 * TTL).settles();
  expect(before.lastSeen).toBe(1000);

  const after = new Ann();
  after.opens('1');
  after.at(1000).hides(5000);
  after.at(3000).beats('1');
  expect(after.at(2 * TTL).settles().told).toEqual([]);
  expect(after.lastSeen).toBe(3000);
});

test('being active again needs the earlier choice dropped first, and is a heartbeat', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.at(1000).hides();
  const chooses = (cleared: boolean) => ann.does((person, when) => chooseActive(person, cleared, when));
  expect(ann.at(2000) && chooses(false)).toMatchObject({ code: 'clear', told: [] });
  expect(chooses(true)).toMatchObject({ code: 'ok', told: ['active: manual'] });
  expect(ann.lastSeen).toBe(2000);
});

test('a logout ends appearing inactive', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.hides();
  ann.does((person, when) => logOut(person, { sessionId: null, conn: null }, when));
  expect(ann.at(1000).opens('2').told).toEqual(['active: connect']);
});

test('nobody is shown while it is unknown whether they chose not to be', () => {
  const ann = new Ann(applyStored(stranger('ann'), 'away', moment(0)));
  expect(ann.opens('1')).toMatchObject({ code: 'ok', told: [] });
  expect(ann.at(1000).does((person, when) => adopt(person, nothing, when)).told).toEqual(['active: connect']);
  expect(ann.lastSeen).toBe(0);
});

test('who came and left while it was unknown was seen after all, or was not, as they chose', () => {
  const visit = () => {
    const ann = new Ann(applyStored(stranger('ann'), 'away', moment(0)));
    ann.opens('1');
    ann.at(1000).closes('1');
    return ann.at(2000);
  };
  const open = visit();
  open.does((person, when) => adopt(person, nothing, when));
  expect(open.lastSeen).toBe(1000);
  const hidden = visit();
  hidden.does((person, when) => adopt(person, { ...nothing, hidden: { remainingMs: null } }, when));
  expect(hidden.lastSeen).toBeNull();
});

test('a logout while the choice is unknown ends it, whatever it was', () => {
  const ann = new Ann(applyStored(stranger('ann'), 'away', moment(0)));
  ann.opens('1');
  ann.does((person, when) => logOut(person, { sessionId: null, conn: null }, when));
  ann.does((person, when) => adopt(person, { ...nothing, hidden: { remainingMs: null } }, when));
  expect(ann.person.appearInactive).toBe('no');
});

test('who was there all along when the store was lost is restored and does not come back', () => {
  const stored: StoredUser = {
    version: moment(0) + 7,
    lastSeen: moment(-500),
    status: 'active',
    hidden: null,
    sources: [],
    detailRevision: 0,
    privacyRevision: 0,
  };
  const ann = new Ann(applyStored(stranger('ann'), stored, moment(0)));
  const { told, changes } = ann.opens('1', { mode: 'restore' });
  expect(told).toEqual(['active: restored']);
  expect(changes[0]?.version).toBeGreaterThan(stored.version);
});

test('who left while the store was lost does not stay active in anybody’s eyes', () => {
  const stored: StoredUser = {
    version: 5,
    lastSeen: moment(-500),
    status: 'active',
    hidden: null,
    sources: [],
    detailRevision: 0,
    privacyRevision: 0,
  };
  const ann = new Ann();
  expect(ann.does((person, when) => adopt(person, stored, when)).told).toEqual(['inactive: timeout']);
  expect(ann.lastSeen).toBe(-500);
});

test('who had chosen to appear inactive is told inactive for that reason after a loss', () => {
  const stored: StoredUser = {
    version: 5,
    lastSeen: null,
    status: 'active',
    hidden: { remainingMs: 1000 },
    sources: [],
    detailRevision: 0,
    privacyRevision: 0,
  };
  const ann = new Ann(applyStored(stranger('ann'), stored, moment(0)));
  expect(ann.opens('1').told).toEqual(['inactive: manual']);
});

const say = (ann: Ann, detail: Detail, remainingMs: number | null = null) =>
  says(ann, { manual: { detail, remainingMs } });

type Words = Record<string, { detail: Detail; remainingMs: number | null }>;
/** The strongest first. */
const says = (ann: Ann, words: Words) =>
  ann.does((person, when) => {
    const sources = Object.entries(words).map(([source, said]) => ({ source, ...said }));
    return setDetail(person, { revision: person.detailRevision + 1, sources }, when);
  });

test('what somebody says beside the status is told with a version of its own, once, and is no sign of life', () => {
  const ann = new Ann();
  ann.opens('1');
  const before = ann.person.version;
  const { changes } = say(ann.at(100), { text: 'busy' });
  expect(changes).toMatchObject([{ status: 'active', cause: 'detail', detail: { text: 'busy' }, lastSeen: moment(0) }]);
  expect(changes[0]?.version).toBeGreaterThan(before);
  expect(say(ann.at(200), { text: 'busy' }).told).toEqual([]);
  expect(ann.at(300).closes('1', {}).told).toEqual([]);
  expect(ann.settles().changes[0]).not.toHaveProperty('detail');
});

test('a detail ends by itself, also of somebody who is away', () => {
  const ann = new Ann();
  ann.opens('1');
  say(ann, { emoji: '☕' }, 5000);
  ann.closes('1');
  ann.settles();
  expect(nextDue(ann.person, ann.when)).toBe(moment(5000));
  expect(ann.at(4999).settles().told).toEqual([]);
  expect(ann.at(5000).settles().changes).toMatchObject([{ status: 'inactive', detail: {}, lastSeen: moment(0) }]);
  expect(nextDue(ann.person, ann.when)).toBeNull();
});

test('who appears inactive says nothing to others, and is heard when that is over, here or away', () => {
  const ann = new Ann();
  ann.opens('1');
  say(ann, { text: 'before' });
  expect(ann.hides(5000).changes).toMatchObject([{ status: 'inactive', detail: {} }]);
  expect(say(ann, { text: 'unseen' }).told).toEqual([]);
  ann.closes('1');
  expect(ann.at(5000).settles().changes).toMatchObject([{ status: 'inactive', detail: { text: 'unseen' } }]);
});
