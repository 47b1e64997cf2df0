import type { StatusAnswer } from '../../src/protocol/http.ts';
import type { WatchedUser } from '../../src/protocol/socket.ts';
import { TestClient } from '../support/client.ts';
import { EventReader } from '../support/event-reader.ts';
import type { Viewer, World } from './world.ts';

/** What one door says of a user; undefined: it does not speak of them. */
export type Shown = Partial<StatusAnswer> & Partial<WatchedUser>;

interface Door {
  /** The routes it stands for. */
  covers: string[];
  /** What it shows a viewer of these users, in their order. */
  look(world: World, viewer: Viewer, userIds: string[]): Promise<(Shown | undefined)[]>;
  /** Whom it does not speak of where nothing may be seen. */
  leavesOut?: boolean;
}

const inOrder = (users: Shown[], userIds: string[]) =>
  userIds.map((userId) => users.find((user) => user.userId === userId));

/** What `watch` answers; a refusal fails the test. */
export async function watched(client: TestClient, userIds: string[]): Promise<WatchedUser[]> {
  const answer = await client.watch(...userIds);
  if (!answer.ok) throw new Error(`A watch was refused: ${JSON.stringify(answer.error)}`);
  return answer.users;
}

async function picture(world: World, { userId, token, relation }: Viewer, auth: Record<string, unknown>) {
  // A session more of a viewer changes nothing for others.
  const client = await TestClient.connect(world.rollcall.url, userId, { token, ...auth });
  client.leave();
  if (relation === 'service') await client.isDisconnected();
  return client.ready?.users ?? [];
}

/** Every way to get a picture of somebody else. */
export const PICTURES: Record<string, Door> = {
  'GET status': {
    covers: ['GET /users/{id}/status'],
    look: (world, { token }, userIds) =>
      Promise.all(
        userIds.map(async (userId) => (await world.call('GET', `/users/${userId}/status`, undefined, token)) as Shown),
      ),
  },
  'GET status with all there is': {
    covers: ['GET /users/{id}/status'],
    look: (world, { token }, userIds) =>
      Promise.all(
        userIds.map(async (userId) => {
          const path = `/users/${userId}/status?include=version,detail,devices`;
          return (await world.call('GET', path, undefined, token)) as Shown;
        }),
      ),
  },
  'POST query with all there is': {
    covers: ['POST /users/status/query'],
    look: async (world, { token }, userIds) => {
      const path = '/users/status/query?include=version,detail,devices';
      return ((await world.call('POST', path, { userIds }, token)) as { users: Shown[] }).users;
    },
  },
  'POST query': {
    covers: ['POST /users/status/query'],
    look: async (world, { token }, userIds) =>
      ((await world.call('POST', '/users/status/query', { userIds }, token)) as { users: Shown[] }).users,
  },
  watch: {
    covers: [],
    look: async (_, { named }, userIds) => inOrder(await watched(named, userIds), userIds),
  },
  'watch in the handshake': {
    covers: [],
    look: async (world, viewer, userIds) => inOrder(await picture(world, viewer, { watch: userIds }), userIds),
  },
  'GET events': {
    covers: ['GET /events'],
    look: async ({ rollcall }, { token }, userIds) => {
      const reader = await EventReader.open(rollcall.url, token, userIds);
      const { data } = await reader.hears('snapshot');
      reader.leave();
      return inOrder(data.users, userIds);
    },
  },
  'the active ones in the handshake': {
    covers: [],
    leavesOut: true,
    look: async (world, viewer, userIds) => inOrder(await picture(world, viewer, {}), userIds),
  },
};

/** Routes that tell nothing of other users' presence to a user, and why. */
export const SILENT: Record<string, string> = {
  'POST /users/status': 'the caller’s own',
  'POST /users/logout': 'the caller’s own',
  'GET /users/{id}/sessions': 'self and services',
  'DELETE /users/{id}/sessions/{sessionId}': 'self and services',
  'GET /users/{id}': 'self and services',
  'GET /users/{id}/export': 'self and services',
  'GET /audit': 'services',
  'PUT /users/{id}': 'self and services',
  'DELETE /users/{id}': 'self and services',
  'PUT /users/{id}/friends/{friendId}': 'services, answers nothing',
  'DELETE /users/{id}/friends/{friendId}': 'answers nothing',
  'PATCH /users/{id}/friends/{friendId}': 'answers nothing',
  'GET /users/{id}/settings': 'self and services',
  'PUT /users/{id}/settings': 'self and services',
  'GET /users/{id}/blocks': 'self and services: whom they block themselves',
  'PUT /users/{id}/blocks/{blockedId}': 'answers nothing',
  'DELETE /users/{id}/blocks/{blockedId}': 'answers nothing',
  'PUT /users/{id}/push-subscriptions': 'self',
  'DELETE /users/{id}/push-subscriptions': 'self',
  'GET /push/public-key': 'of no user',
  'GET /analytics/active-users': 'services',
  'GET /analytics/active': 'services',
  'GET /analytics/timeline': 'services',
  'GET /users/{id}/history': 'self and services',
  'GET /users/{id}/activity': 'self and services',
  'GET /changes': 'services',
  'PUT /conversations/{id}/members/{userId}': 'services, answers nothing',
  'DELETE /conversations/{id}/members/{userId}': 'services, answers nothing',
  'PUT /users/{id}/leases/{name}': 'self and services',
  'DELETE /users/{id}/leases/{name}': 'self and services, answers nothing',
  'POST /leases/renew': 'services',
  'GET /users/{id}/detail': 'self and services',
  'PUT /users/{id}/detail': 'self and services',
  'DELETE /users/{id}/detail': 'self and services, answers nothing',
  'PUT /users/{id}/detail/{source}': 'self and services',
  'DELETE /users/{id}/detail/{source}': 'services, answers nothing',
  'POST /reach': 'services',
  'GET /rooms': 'services, of no user',
  'GET /users/{id}/rooms': 'self and services',
  'DELETE /rooms/{id}/users/{userId}': 'services, answers nothing',
  'GET /healthz': 'of no user',
  'GET /readyz': 'of no user',
};
