import { afterAll, beforeAll, expect, test } from 'vitest';
import { Rollcall, RollcallError, signUserToken } from '../../src/backend/index.ts';
import { TestClient } from '../support/client.ts';
import { CALM, Deployment, eventually, JWT_SECRET } from '../support/deployment.ts';

let deployment: Deployment;
let rollcall: Rollcall;

beforeAll(async () => {
  deployment = await Deployment.start('server-package', { env: CALM });
  rollcall = new Rollcall({ url: `${deployment.url}/`, key: JWT_SECRET });
});
afterAll(() => deployment?.stop());

const codeOf = (asked: Promise<unknown>) =>
  asked.then(
    () => 'none',
    (error) => (error instanceof RollcallError ? error.code : String(error)),
  );

test('a backend signs users in, sees them come, and manages what they show', async () => {
  const token = await signUserToken({ key: JWT_SECRET, userId: 'ada' });
  const ada = new TestClient(deployment.url, { token });
  await eventually(
    () => rollcall.getStatus('ada').catch(() => null),
    (told) => told?.status === 'active',
  );
  expect(await rollcall.getStatus('ada', { include: 'devices,why' })).toMatchObject({ devices: [{}], why: {} });
  const { users } = await rollcall.queryStatuses(['ada', 'nobody']);
  expect(users.map(({ status }) => status)).toEqual(['active', 'inactive']);
  expect(await rollcall.setStatus({ status: 'inactive', userId: 'ada', expiresInSeconds: 60 })).toMatchObject({
    status: 'inactive',
  });
  await rollcall.setStatus({ status: 'active', userId: 'ada' });
  expect(await rollcall.updateProfile('ada', { displayName: 'Ada', avatarUrl: null })).toMatchObject({
    displayName: 'Ada',
  });
  expect(await rollcall.getProfile('ada')).toMatchObject({ userId: 'ada', avatarUrl: null });
  const { sessions } = await rollcall.listSessions('ada');
  await rollcall.removeSession('ada', sessions[0]?.sessionId ?? '');
  expect(await codeOf(rollcall.removeSession('ada', 'never'))).toBe('SESSION_NOT_FOUND');
  await rollcall.logout({ userId: 'ada' });
  expect(await codeOf(rollcall.getStatus('a b'))).toBe('INVALID_USER_ID');
  ada.leave();
});

test('a backend says who is whose friend, who blocks whom, and who is in a conversation', async () => {
  await rollcall.addFriend('ada', 'bob|x:1');
  await rollcall.setFriendAlert('ada', 'bob|x:1', 'always');
  const { friends } = await rollcall.listFriends('ada', { limit: 10 });
  expect(friends).toMatchObject([{ userId: 'bob|x:1', alert: 'always' }]);
  await rollcall.removeFriend('ada', 'bob|x:1');
  expect(await rollcall.listFriends('ada')).toEqual({ friends: [] });
  await rollcall.blockUser('ada', 'eve');
  expect((await rollcall.listBlocks('ada')).blocks).toEqual([{ userId: 'eve' }]);
  await rollcall.unblockUser('ada', 'eve');
  expect(await rollcall.updateSettings('ada', { visibility: 'friends' })).toMatchObject({ visibility: 'friends' });
  expect(await rollcall.getSettings('ada')).toMatchObject({ visibility: 'friends' });
  await rollcall.addConversationMember('team', 'ada');
  await rollcall.removeConversationMember('team', 'ada');
  await rollcall.eraseUser('eve').catch(() => {});
});

test('a backend reads figures, the past and whether all is well', async () => {
  const counts = await rollcall.countActiveUsers({ within: '5,15' });
  expect(counts.within.map(({ minutes }) => minutes)).toEqual([5, 15]);
  expect(await rollcall.listActiveUsers({ within: 5, limit: 10 })).toHaveProperty('nextCursor');
  expect(await rollcall.getTimeline({ step: 60 })).toHaveProperty('points');
  expect(await rollcall.listTransitions('ada', { limit: 1 })).toHaveProperty('transitions');
  expect((await rollcall.getActivity('ada', { days: 2 })).days).toHaveLength(2);
  expect(await rollcall.listChanges()).toMatchObject({ changes: [] });
  expect(await rollcall.getHealth()).toEqual({ status: 'ok' });
  expect(await rollcall.getReadiness()).toMatchObject({ redis: true });
  expect(await codeOf(rollcall.getPushKey())).toBe('NOT_FOUND');
  const user = new Rollcall({ url: deployment.url, token: () => signUserToken({ key: JWT_SECRET, userId: 'ada' }) });
  expect(await codeOf(user.unsubscribeFromPush('ada', { endpoint: 'https://push.example.net/x' }))).toBe('none');
  expect(await codeOf(user.subscribeToPush('bob', { endpoint: 'x', keys: { p256dh: '', auth: '' } }))).toBe(
    'INVALID_REQUEST',
  );
  expect(await codeOf(user.countActiveUsers())).toBe('FORBIDDEN');
});

test('the feed begins with a reset, tells who comes and goes, and goes on from its cursor', async () => {
  const kept: string[] = [];
  const told: string[] = [];
  const ended = new AbortController();
  const read = async (after: string | undefined, enough: number) => {
    for await (const change of rollcall.changes({ after, signal: ended.signal, waitSeconds: 5 })) {
      const what = change.reset ? 'reset' : (change.type ?? `${change.userId} ${change.status}`);
      // What the tests before did may be told only now.
      if (what !== 'reset' && !what.startsWith('fay ')) continue;
      told.push(what);
      kept.push(change.cursor);
      if (change.reset) clients.push(await TestClient.connect(deployment.url, 'fay'));
      if (told.length === enough) break;
    }
  };
  const clients: TestClient[] = [];
  await read(undefined, 2);
  expect(told).toEqual(['reset', 'fay active']);
  clients[0]?.leave();
  await read(kept.at(-1), 3);
  expect(told).toEqual(['reset', 'fay active', 'fay inactive']);
  // From an earlier cursor it comes again.
  await read(kept[0], 5);
  expect(told.slice(3)).toEqual(['fay active', 'fay inactive']);
  // A loop that waits for what does not come ends with its signal.
  const waiting = read(kept.at(-1), 6);
  ended.abort();
  await waiting;
  expect(told).toHaveLength(5);
});
