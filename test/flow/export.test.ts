import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { createLogger } from '../../src/log.ts';
import { EXPORTED, type ExportedList, UserExport } from '../../src/protocol/export.ts';
import { openStores, type Stores } from '../../src/stores.ts';
import { Exports } from '../../src/usecases/export.ts';
import { rest, TestClient, tokenFor } from '../support/client.ts';
import { CALM, Deployment, eventually } from '../support/deployment.ts';

/** In a name or a value of either store it can be nobody else. */
const USER = 'exported-one';

/** What names the user in PostgreSQL, and where the export has it. */
const IN_IT: Record<string, ExportedList> = {
  'users.id': 'profile',
  'user_settings.user_id': 'settings',
  'friendships.user_id': 'friends',
  'blocks.user_id': 'blocks',
  'conversation_members.user_id': 'conversations',
  'push_subscriptions.user_id': 'pushSubscriptions',
  'audit_log.subject': 'acts',
  'detail_sources.user_id': 'details',
  'status_transitions.user_id': 'transitions',
};
/** What is not in it, and why. */
const LEFT_OUT: Record<string, string> = {
  'friendships.friend_id': 'the friends’ own rows: who of them asked for alerts; who they are is in `friends`',
  'blocks.blocked_id': 'others’ own: who blocks the user',
  'audit_log.actor': 'what a service did to others under that id; who did what is not told',
  'changes.user_id': 'what `transitions` has too, for readers of the feed, and no longer kept than that',
  'changes_arriving.user_id': 'the same, on its way to the feed',
  'privacy_changes.user_id': 'that Redis is still to hear of `settings`, `friends` or `blocks`',
  'membership_changes.user_id': 'that Redis is still to hear that they are in a conversation no more',
};
/** Ids of others than users. */
const OTHER_IDS = ['conversation_id'];

/** The keys of Redis that name the user, by name or by what is in them, and the list that has it or the reason why none does. */
const KEYS: Record<string, ExportedList | { because: string }> = {
  'user:sessions:<id>': 'sessions',
  'user:status:<id>': 'presence',
  'user:last_seen:<id>': 'presence',
  'user:privacy:<id>': { because: 'a copy of `settings`, `friends` and `blocks`, and who blocks the user' },
  'user:privacy:<other>': { because: 'others’ own: whom they restrict' },
  'user:signed_out:<id>': { because: 'until when older connections are refused, for two TTLs' },
  'users:restricted': { because: 'that `settings` or `blocks` are not everybody’s' },
  'user:looks:<id>': { because: 'whom they asked for today, as hashes that name nobody, until midnight' },
  'user:looked:<id>': { because: 'the same, as a bitmap' },
  'presence:looking:s<n>': { because: 'how many they asked for today, until midnight' },
  'user:rooms:<id>': 'rooms',
  'room:users:<other>': { because: 'a copy of `rooms`' },
  'room:closed:<other>': { because: 'whom not everybody may see in it' },
  'presence:rooms-left:s<n>': { because: 'that they left a room, for half a minute' },
  'presence:rooms-said:s<n>': { because: 'when they said something in one of `rooms`, for two seconds' },
  'presence:due:s<n>': { because: 'the deadlines of `sessions`' },
  'presence:seen:s<n>': { because: 'the last seen of `presence`' },
  'presence:apart-due:s<n>': { because: 'the deadlines of `sessions`' },
  'presence:apart-active:s<n>': { because: 'the deadlines of `sessions`' },
  'presence:outbox:s<n>': { because: 'changes on their way to `transitions`' },
  'presence:{delivery}': { because: 'changes on their way to watchers' },
  'presence:indicators:s<n>': { because: 'that they are typing, for six seconds' },
  'conversation:doing:<other>': { because: 'that they are typing, for six seconds' },
  'presence:members:s<n>': { because: 'a copy of `conversations`, for three minutes' },
  'bull:<queue>': { because: 'work that follows from `sessions` and changes on their way' },
};

let rollcall: Deployment;
let stores: Stores;
let own: string;
let host: string;
let exported: UserExport;
const here: TestClient[] = [];
beforeAll(async () => {
  rollcall = await Deployment.start('export', { env: { ...CALM, ROOMS_OPEN: 'desk' } });
  const config = readConfig(rollcall.env);
  stores = openStores(config, createLogger({ ...config, logLevel: 'error' }, 'web'));
  own = await tokenFor(USER);
  host = await tokenFor('backend', { scope: 'presence:write' });
  await live();
  const { body } = await rest(rollcall.url, 'GET', `/users/${USER}/export`, { token: own });
  exported = body;
});
afterAll(async () => {
  for (const client of here) client.leave();
  await stores?.close();
  await rollcall?.stop();
});

async function ask(method: string, path: string, body?: object, token = host): Promise<void> {
  const { status } = await rest(rollcall.url, method, path, { token, ...(body && { body }) });
  expect([path, status]).toEqual([path, status < 300 ? status : 0]);
}

/** Whatever can be kept of somebody. */
async function live(): Promise<void> {
  const other = await TestClient.connect(rollcall.url, 'other', { watch: [USER] });
  const gone = await TestClient.connect(rollcall.url, USER, { deviceId: 'old' });
  const client = await TestClient.connect(rollcall.url, USER, {
    deviceId: 'phone',
    device: { kind: 'mobile', name: 'Phone of one' },
  });
  here.push(other, client);
  await ask('PUT', `/users/${USER}`, { displayName: 'One', avatarUrl: 'https://example.com/one.png' });
  await ask('PUT', `/users/${USER}/settings`, {
    visibility: 'friends',
    lastSeenPrecision: 'coarse',
    alertFriends: false,
  });
  await ask('PUT', `/users/${USER}/friends/other`);
  await ask('PATCH', `/users/${USER}/friends/other`, { alert: 'always' });
  await ask('PATCH', `/users/other/friends/${USER}`, { alert: 'once' });
  await ask('PUT', `/users/${USER}/blocks/rude`);
  await ask('PUT', `/users/hostile/blocks/${USER}`);
  await ask('PUT', `/conversations/hall/members/${USER}`);
  await rollcall.db('push_subscriptions').insert({
    endpoint: 'https://push.example.com/1',
    user_id: USER,
    p256dh: 'key',
    auth: 'secret',
  });
  await ask('DELETE', `/users/${USER}/sessions/${gone.ready?.sessionId}`);
  await client.socket.emitWithAck('set_detail', { text: 'at work', expiresInSeconds: 3600 });
  await client.socket.emitWithAck('join_conversation', { conversationId: 'hall' });
  await client.socket.emitWithAck('join_room', {
    roomId: 'desk',
    data: { at: 'window', with: 'a view of '.repeat(9) },
  });
  await client.socket.emitWithAck('start_indicator', { conversationId: 'hall', kind: 'typing' });
  await eventually(
    () => rollcall.db('status_transitions').where({ user_id: USER }),
    (rows) => rows.length > 0,
  );
}

test('an export has what is kept about a user, with sessions and devices’ names, and nothing of what is others’ own', () => {
  expect(UserExport.parse(exported)).toEqual(exported);
  expect(exported).toMatchObject({
    userId: USER,
    profile: [{ displayName: 'One', avatarUrl: 'https://example.com/one.png' }],
    presence: [{ status: 'active', lastSeen: expect.any(String) }],
    sessions: [{ device: { kind: 'mobile', name: 'Phone of one' }, state: 'active' }],
    rooms: [
      { roomId: 'desk', since: expect.any(String), sessions: [{ data: { at: 'window', with: expect.any(String) } }] },
    ],
    appearingInactive: [],
    details: [{ source: 'manual', text: 'at work', until: expect.any(String) }],
    settings: [
      { visibility: 'friends', lastSeenVisibility: 'everyone', lastSeenPrecision: 'coarse', alertFriends: false },
    ],
    friends: [{ userId: 'other', alert: 'always' }],
    blocks: [{ userId: 'rude' }],
    conversations: [{ conversationId: 'hall' }],
    pushSubscriptions: [{ endpoint: 'https://push.example.com/1' }],
    acts: [{ act: 'session_removed', detail: { sessionId: expect.any(String) } }],
    transitions: [{ status: 'active', cause: 'connect' }],
  });
  const text = JSON.stringify(exported);
  for (const others of ['hostile', 'backend', 'secret', 'once']) expect(text).not.toContain(others);
});

test('every table that names a user is in an export, or there is a reason why it is not', async () => {
  const { rows } = await rollcall.db.raw(
    `SELECT table_name || '.' || column_name AS name FROM information_schema.columns
       JOIN pg_class ON pg_class.oid = table_name::regclass
      WHERE table_schema = 'public' AND relkind IN ('r', 'p') AND NOT relispartition AND table_name NOT LIKE 'knex%'
        AND (collation_name = 'C' OR (data_type <> 'boolean' AND column_name ~ '(user|friend|block|member|subject|actor)'))
        AND column_name <> ALL (?)`,
    [OTHER_IDS],
  );
  const columns = rows.map(({ name }: { name: string }) => name).sort();
  expect(columns).toEqual([...Object.keys(IN_IT), ...Object.keys(LEFT_OUT)].sort());
  // Whatever its columns are called.
  const tables = new Set(columns.map((name: string) => name.split('.')[0]));
  const { rows: all } = await rollcall.db.raw(
    `SELECT relname AS name FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
      WHERE nspname = 'public' AND relkind IN ('r', 'p') AND NOT relispartition`,
  );
  const naming: string[] = [];
  for (const { name } of all) {
    const row = await rollcall
      .db(name)
      .whereRaw(`??::text LIKE ?`, [name, `%${USER}%`])
      .first();
    if (row !== undefined) naming.push(name);
  }
  expect(naming).toEqual(expect.arrayContaining(['users', 'status_transitions', 'audit_log']));
  expect(naming.filter((name) => !tables.has(name))).toEqual([]);
  for (const list of Object.values(IN_IT)) expect([list, exported[list].length > 0]).toEqual([list, true]);
});

test('every key of Redis that names a user is in an export, or there is a reason why it is not', async () => {
  const names = new Set<string>();
  for (const key of await rollcall.redis.keys(`${rollcall.prefix}*`)) {
    if (key.includes(USER) || (await contentOf(key)).includes(USER))
      names.add(kindOf(key.slice(rollcall.prefix.length)));
  }
  expect([...names].filter((name) => !Object.hasOwn(KEYS, name))).toEqual([]);
  expect([...names]).toEqual(
    expect.arrayContaining(['user:sessions:<id>', 'user:rooms:<id>', 'user:privacy:<other>', 'presence:due:s<n>']),
  );
  const lists = [...names].flatMap((name) => {
    const list = KEYS[name];
    return typeof list === 'string' ? [list] : [];
  });
  for (const list of lists) expect([list, exported[list].length > 0]).toEqual([list, true]);
});

/** The key’s name as the page of keys has it. */
function kindOf(key: string): string {
  if (key.startsWith('bull:')) return 'bull:<queue>';
  const named = key.replace(USER, '<id>').replace(/\bs\d+\b/, 's<n>');
  return named.replace(/^(user:\w+|conversation:doing|room:\w+):[^<].*$/, '$1:<other>');
}

async function contentOf(key: string): Promise<string> {
  const { redis } = rollcall;
  const type = await redis.type(key);
  if (type === 'string') return (await redis.get(key)) ?? '';
  if (type === 'hash') return JSON.stringify(await redis.hgetall(key));
  if (type === 'set') return JSON.stringify(await redis.smembers(key));
  if (type === 'zset') return JSON.stringify(await redis.zrange(key, '0', '-1'));
  if (type === 'list') return JSON.stringify(await redis.lrange(key, 0, -1));
  return type === 'stream' ? JSON.stringify(await redis.xrange(key, '-', '+')) : '';
}

test('a user is exported once a minute, whoever asks, and a service that does is in the audit', async () => {
  const again = await rest(rollcall.url, 'GET', `/users/${USER}/export`, { token: host });
  expect([again.status, again.body.code]).toEqual([429, 'RATE_LIMITED']);
  expect(Number(again.headers.get('retry-after'))).toBeGreaterThan(0);
  const other = await rest(rollcall.url, 'GET', '/users/other/export', { token: host });
  expect(other.status).toBe(200);
  expect(other.headers.get('content-type')).toMatch(/^application\/json/);
  // It begins before anybody knows how long it will be.
  expect(other.headers.get('content-length')).toBeNull();
  expect(other.body).toMatchObject({ userId: 'other', acts: [{ act: 'export', detail: null }] });
  const { body } = await rest(rollcall.url, 'GET', '/audit?subject=other', { token: host });
  expect(body.entries).toMatchObject([{ actor: 'backend', act: 'export', subject: 'other' }]);
  // By the user itself there is none.
  const mine = await rest(rollcall.url, 'GET', `/audit?subject=${USER}`, { token: host });
  expect(mine.body.entries).toMatchObject([{ act: 'session_removed' }]);
});

test('nobody else’s export is had, and none of somebody nobody heard of, whoever blocks them', async () => {
  const codes = async (path: string, token: string | null) => (await rest(rollcall.url, 'GET', path, { token })).status;
  expect(await codes(`/users/${USER}/export`, null)).toBe(401);
  expect(await codes(`/users/${USER}/export`, await tokenFor('other'))).toBe(403);
  expect(await codes(`/users/${USER}/export`, await tokenFor('half', { scope: 'presence:none' }))).toBe(403);
  expect(await codes('/users/a%20b/export', host)).toBe(400);
  expect(await codes('/users/never/export', host)).toBe(404);
  await ask('PUT', '/users/hostile/blocks/strange');
  expect(await codes('/users/strange/export', await tokenFor('strange'))).toBe(404);
  // Who was only ever made a member is kept of.
  await ask('PUT', '/conversations/hall/members/quiet');
  expect(await codes('/users/quiet/export', await tokenFor('reader', { scope: 'presence:read' }))).toBe(200);
});

test('a long history is read piece by piece, as it is taken', async () => {
  await rollcall.db('users').insert({ id: 'old-hand' });
  await rollcall.db.raw(
    `INSERT INTO status_transitions (user_id, version, at, status, cause)
     SELECT 'old-hand', 1700000000000 + n, timestamptz 'epoch' + (1700000000000 + n) * interval '1 millisecond',
            'inactive', 'timeout' FROM generate_series(1, 9001) AS n`,
  );
  const reads = {
    status: async () => ({ userId: 'old-hand', status: 'inactive' as const, lastSeen: null }),
    sessions: async () => [],
  };
  const nowhere = { whereAre: async () => new Map() };
  const limits = { reserve: async () => ({ total: 1, leftMs: 0 }) };
  let asked = 0;
  stores.db.on('query', ({ sql }: { sql: string }) => {
    if (sql.includes('FROM status_transitions')) asked++;
  });
  let text = '';
  const askedAt: number[] = [];
  for await (const piece of await new Exports(stores, reads, nowhere, limits).document('old-hand', null)) {
    text += piece;
    if (piece.includes('"version"')) askedAt.push(asked);
  }
  const { transitions } = JSON.parse(text);
  expect(transitions.map(({ version }: { version: number }) => version)).toEqual(
    Array.from({ length: 9001 }, (_, n) => 1_700_000_009_001 - n),
  );
  // One question for each piece, and none before the piece before it was taken.
  expect(askedAt).toEqual([1, 2, 3, 4, 5]);
  expect(Object.keys(JSON.parse(text))).toEqual(['userId', 'exportedAt', ...Object.keys(EXPORTED)]);
});
