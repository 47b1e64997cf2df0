import { expect, test } from 'vitest';
import { nextDue, statusOf } from '../model/person.ts';
import { Ann, moment, TTL } from './people.ts';

test('the first session makes a user active, and that is told once', () => {
  const ann = new Ann();
  expect(ann.opens('1')).toMatchObject({ code: 'ok', told: ['active: connect'] });
  expect(ann.opens('2')).toMatchObject({ code: 'ok', told: [] });
});

test('who is not heard of for a TTL is inactive, last seen at the last heartbeat and not when it was noticed', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.at(30_000).beats('1');
  expect(ann.at(30_000 + TTL - 1).settles().told).toEqual([]);
  expect(ann.at(30_000 + TTL + 500).settles().told).toEqual(['inactive: timeout']);
  expect(ann.lastSeen).toBe(30_000);
});

test('whoever comes after a deadline tells first what it meant', () => {
  const ann = new Ann();
  ann.opens('1');
  expect(ann.at(TTL).opens('2').told).toEqual(['inactive: timeout', 'active: connect']);
});

test('every change has a newer version, also two in the same millisecond', () => {
  const ann = new Ann();
  const versions = [
    ...ann.opens('1').changes,
    ...ann.closes('1').changes,
    ...ann.settles().changes,
    ...ann.opens('2').changes,
  ].map((change) => change.version);
  expect(versions).toHaveLength(3);
  expect(versions).toEqual([...new Set(versions)].sort());
});

test('closing one of two tabs changes nothing; closing the last is told with the moment of closing', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.opens('2');
  ann.at(1000).closes('1');
  expect(ann.settles().told).toEqual([]);
  ann.at(2000).closes('2');
  expect(ann.at(2300).settles().told).toEqual(['inactive: disconnect']);
  expect(ann.lastSeen).toBe(2000);
});

test('a close and an opening that nobody looked between are both told', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.at(1000).closes('1');
  expect(ann.at(1001).opens('2').told).toEqual(['inactive: disconnect', 'active: connect']);
});

test('a goodbye that was long on its way counts from when it was said', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.at(9000).closes('1', { ageMs: 4000 });
  ann.settles();
  expect(ann.lastSeen).toBe(5000);
});

test('who comes back within the grace was never away', () => {
  const ann = new Ann();
  ann.opens('1', { sessionId: 'd1' });
  ann.at(1000).closes('1', { sessionId: 'd1', graceMs: 5000 });
  expect(ann.at(5999).opens('2', { sessionId: 'd1' }).told).toEqual([]);
});

test('who does not come back within the grace left when they closed', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.at(1000).closes('1', { graceMs: 5000 });
  expect(ann.at(6000).settles().told).toEqual(['inactive: disconnect']);
  expect(ann.lastSeen).toBe(1000);
});

test('a deploy is not an absence: who is back within the handover causes no event', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.at(50_000).drains('1');
  expect(ann.at(64_999).opens('2')).toMatchObject({ told: [] });
  expect(ann.person.sessions.map((session) => session.sessionId)).toEqual(['c2']);
});

test('who is not back after the handover was last seen at the drain', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.at(50_000).drains('1');
  expect(ann.at(65_000).settles().told).toEqual(['inactive: handover']);
  expect(ann.lastSeen).toBe(50_000);
});

test('nothing expires while the store has only just come back', () => {
  const ann = new Ann();
  ann.opens('1');
  expect(
    ann
      .at(TTL + 5000)
      .held(true)
      .settles().told,
  ).toEqual([]);
  expect(ann.beats('1', { ageMs: 10_000 }).code).toBe('ok');
  expect(ann.held(false).settles().told).toEqual([]);
});

test('somebody looks at an active user at the latest deadline, and at once after the last close', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.at(10_000).opens('2');
  expect(nextDue(ann.person, ann.when)).toBe(moment(10_000 + TTL));
  ann.at(20_000).closes('2');
  expect(nextDue(ann.person, ann.when)).toBe(moment(TTL));
  ann.closes('1');
  expect(statusOf(ann.person)).toBe('inactive');
  expect(nextDue(ann.person, ann.when)).toBe(moment(20_000));
  ann.settles();
  expect(nextDue(ann.person, ann.when)).toBeNull();
});
