import { expect, test } from 'vitest';
import { chooseActive, logOut, POSTED } from '../model/scripts.ts';
import { Ann, moment, TTL } from './people.ts';

test('a late goodbye of an older connection ends nothing', () => {
  const ann = new Ann();
  ann.opens('old', { sessionId: 'd1' });
  expect(ann.opens('new', { sessionId: 'd1' }).closed).toEqual([{ conns: ['old'], reason: 'replaced' }]);
  expect(ann.closes('old', { sessionId: 'd1' }).code).toBe('late');
  expect(ann.settles().told).toEqual([]);
});

test('a late heartbeat undoes neither a goodbye nor a logout', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.closes('1');
  expect(ann.beats('1').code).toBe('logout');
  expect(ann.opens('1', { mode: 'restore' }).code).toBe('logout');
  ann.opens('2');
  ann.does((person, when) => logOut(person, { sessionId: null, conn: null }, when));
  expect(ann.beats('2').code).toBe('logout');
});

test('a hello that arrives after its own goodbye makes nobody active', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.closes('2');
  expect(ann.opens('2').code).toBe('logout');
});

test('a heartbeat restores a session that the store lost, unless it is older than a TTL', () => {
  const ann = new Ann();
  expect(ann.beats('1').code).toBe('missing');
  expect(ann.opens('1', { mode: 'restore', beatAgeMs: TTL }).code).toBe('stale');
  expect(ann.opens('1', { mode: 'restore', beatAgeMs: TTL - 1 })).toMatchObject({
    code: 'ok',
    told: ['active: heartbeat'],
  });
});

test('an older heartbeat that arrives later moves nothing back', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.at(5000).beats('1');
  ann.at(5100).beats('1', { ageMs: 900 });
  expect(ann.lastSeen).toBe(5000);
  expect(ann.person.sessions[0]?.lastBeat).toBe(moment(5000));
});

test('sessions that ended, or were handed over, do not count for the limit; a device that comes back does not either', () => {
  const ann = new Ann();
  ann.opens('1', { sessionId: 'd1' });
  ann.opens('2');
  expect(ann.opens('3').code).toBe('full');
  expect(ann.opens('4', { sessionId: 'd1' }).code).toBe('ok');
  ann.closes('2', { graceMs: 5000 });
  expect(ann.opens('5').code).toBe('ok');
});

test('what nobody can come back for ends quietly with the next session; a device that may come back is waited for', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.opens('2', { sessionId: 'd1' });
  ann.closes('1', { graceMs: 5000 });
  ann.closes('2', { sessionId: 'd1', graceMs: 5000 });
  expect(ann.opens('3').told).toEqual([]);
  expect(ann.person.sessions.map((session) => session.sessionId).sort()).toEqual(['c3', 'd1']);
});

test('a drained connection without a device id ends where its user is connected elsewhere: whoever closes that is gone', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.opens('2', { sessionId: 'd1' });
  expect(ann.at(10_000).drains('1').told).toEqual([]);
  expect(ann.person.sessions.map((session) => session.sessionId)).toEqual(['d1']);
  ann.at(11_000).closes('2', { sessionId: 'd1' });
  expect(ann.settles().told).toEqual(['inactive: disconnect']);
  expect(ann.lastSeen).toBe(11_000);
});

test('where the connection elsewhere falls silent instead, the drained one is waited for, and last seen is the drain', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.opens('2', { sessionId: 'd1' });
  ann.at(TTL - 5000).drains('1');
  expect(ann.at(TTL + 9999).settles().told).toEqual([]);
  expect(ann.at(TTL + 10_000).settles().told).toEqual(['inactive: timeout']);
  expect(ann.lastSeen).toBe(TTL - 5000);
});

test('of connections without a device id that are drained together the freshest is waited for, also if drained apart', () => {
  for (const drains of [[['1', '2']], [['2', '1']], [['1'], ['2']]]) {
    const ann = new Ann();
    ann.opens('1');
    ann.at(5000).opens('2');
    for (const conns of drains) expect(ann.at(10_000).drains(...conns).told).toEqual([]);
    expect(ann.person.sessions.map((session) => session.sessionId)).toEqual(['c2']);
    expect(ann.at(24_999).settles().told).toEqual([]);
    expect(ann.at(25_000).settles().told).toEqual(['inactive: handover']);
    expect(ann.lastSeen).toBe(10_000);
  }
});

test('a drained device is waited for whoever else is there, and one that appears inactive is told of to nobody', () => {
  const ann = new Ann();
  ann.opens('1', { sessionId: 'd1' });
  ann.opens('2');
  ann.at(10_000).drains('1');
  expect(ann.person.sessions.map((session) => session.sessionId)).toEqual(['d1', 'c2']);
  ann.opens('3');
  ann.hides();
  expect(ann.at(12_000).drains('2').told).toEqual([]);
  expect(ann.person.sessions.map((session) => session.sessionId)).toEqual(['d1', 'c3']);
  expect(ann.lastSeen).toBe(10_000);
});

test('a client without a socket stays active by posting, and its session ends quietly when a socket opens', () => {
  const ann = new Ann();
  const posts = () => ann.does((person, when) => chooseActive(person, false, when));
  expect(posts().told).toEqual(['active: heartbeat']);
  expect(ann.at(TTL - 1).settles().told).toEqual([]);
  expect(posts().told).toEqual([]);
  expect(ann.person.sessions.map((session) => session.sessionId)).toEqual([POSTED]);
  expect(ann.at(TTL + 100).opens('1', { beatAgeMs: 50_000 }).told).toEqual([]);
  expect(ann.person.sessions.map((session) => session.sessionId)).toEqual(['c1']);
  expect(ann.at(2 * TTL - 2).settles().told, 'the POST was a sign of life').toEqual([]);
  expect(ann.at(2 * TTL - 1).settles().told).toEqual(['inactive: timeout']);
});

test('signing out the last session is told at once, with the connections to close', () => {
  const ann = new Ann();
  ann.opens('1');
  ann.opens('2');
  const one = ann.does((person, when) => logOut(person, { sessionId: 'c1', conn: null }, when));
  expect(one).toMatchObject({ code: 'ok', told: [], closed: [{ conns: ['1'], reason: 'logout' }] });
  const all = ann.does((person, when) => logOut(person, { sessionId: null, conn: null }, when));
  expect(all).toMatchObject({ told: ['inactive: logout'], closed: [{ conns: ['2'], reason: 'logout' }] });
});

test('a session that a newer connection holds is not signed out by the older one', () => {
  const ann = new Ann();
  ann.opens('old', { sessionId: 'd1' });
  ann.opens('new', { sessionId: 'd1' });
  expect(ann.does((person, when) => logOut(person, { sessionId: 'd1', conn: 'old' }, when)).code).toBe('missing');
});
