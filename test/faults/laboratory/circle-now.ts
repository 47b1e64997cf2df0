import { accessOf } from '../../../src/presence/visibility.ts';
import type { StatusPayload } from '../../../src/protocol/vocabulary.ts';
import { rest, tokenFor } from '../../support/client.ts';
import type { Finding } from './checks.ts';
import type { Circle } from './circle.ts';
import { within } from './device.ts';
import { openness } from './privacy-record.ts';
import type { Rows } from './stores.ts';
import type { Viewer } from './viewer.ts';
import type { World } from './world.ts';

/** Whoever is in the conversation hears somebody begin to type in so much time. */
const HEARS_WITHIN_MS = 3000;

/** Where doors, sockets or the conversation are something else now than what they must be by PostgreSQL. */
export async function differingInCircle(circle: Circle, rows: Rows): Promise<Finding[]> {
  const users = circle.subjects.map(({ userId }) => userId);
  const truth = await asService(circle.world, users);
  if (!truth) return [{ kind: 'views differ', text: 'No web tells the host application of the circle' }];
  const found = await Promise.all(
    circle.viewers.map(async (viewer) => [
      ...(await doorsDiffer(circle, rows, viewer, truth)),
      ...(await conversationDiffers(viewer, rows.isMember(viewer.userId))),
    ]),
  );
  return found.flat();
}

async function doorsDiffer(
  { world }: Circle,
  rows: Rows,
  viewer: Viewer,
  truth: ReadonlyMap<string, StatusPayload>,
): Promise<Finding[]> {
  const users = [...truth.keys()];
  const looks = await Promise.all([
    ...world.webs.flatMap((web) => [viewer.look('query', web, users), viewer.look('status', web, users)]),
    ...(viewer.watches ? [viewer.look('watch', viewer.web, users)] : []),
  ]);
  const differing: string[] = [];
  for (const [userId, real] of truth) {
    const must = expectedOf(rows, viewer, real);
    for (const look of looks) {
      const shown = look.users.find((user) => user.userId === userId);
      if (shown && isSame(shown, must)) continue;
      const said = shown ? inWords(shown) : `nothing (${look.status})`;
      differing.push(`${viewer.userId} by ${look.door}: ${userId} is ${said}; must be ${inWords(must)}`);
    }
    const held = viewer.view.get(userId) ?? { status: 'inactive', lastSeen: null };
    // To an audience of everyone nobody says anything of those who are away.
    const knows = viewer.watches ? held.lastSeen !== null : must.lastSeen !== null;
    if (held.status === must.status && knows === (must.lastSeen !== null)) continue;
    differing.push(`${viewer.label} takes ${userId} for ${inWords(held)}; must be ${inWords(must)}`);
  }
  return differing.map((text) => ({ kind: 'privacy', text }));
}

async function conversationDiffers(viewer: Viewer, isMember: boolean): Promise<Finding[]> {
  const isLetIn = await viewer.join();
  const quietFor = Date.now() - (viewer.typing.at(-1) ?? 0);
  const differing: string[] = [];
  if (isLetIn !== isMember) differing.push(`asks to be let in: ${isLetIn}; a member: ${isMember}`);
  if (isMember && quietFor > HEARS_WITHIN_MS) differing.push('a member, hears nobody type');
  if (!isMember && quietFor < HEARS_WITHIN_MS / 2) differing.push('no member, hears somebody type');
  return differing.map((text) => ({ kind: 'membership', text: `${viewer.label}, ${text}` }));
}

const inWords = ({ status, lastSeen }: Pick<StatusPayload, 'status' | 'lastSeen'>) => `${status}, ${lastSeen}`;

async function asService(world: World, userIds: string[]): Promise<Map<string, StatusPayload> | null> {
  const [web] = world.webs;
  const token = await tokenFor('observer', { scope: 'presence:read' });
  const asked = rest(`http://127.0.0.1:${web?.port}`, 'POST', '/users/status/query', { token, body: { userIds } });
  const answer = await within(asked, 3000);
  if (answer?.status !== 200) return null;
  return new Map((answer.body.users as StatusPayload[]).map((user) => [user.userId, user]));
}

function expectedOf(rows: Rows, viewer: Viewer, truth: StatusPayload): StatusPayload {
  const { userId } = truth;
  const friend = rows.areFriends(viewer.userId, userId);
  const blocked = rows.blocks(viewer.userId, userId) || rows.blocks(userId, viewer.userId);
  const access = accessOf(openness(rows.settingOf(userId)), { self: false, friend, blocked });
  if (access === 'all') return truth;
  return { userId, status: access === 'status' ? truth.status : 'inactive', lastSeen: null };
}

/** While somebody is here their last seen moves on. */
function isSame(one: StatusPayload, other: StatusPayload): boolean {
  if (one.status !== other.status || (one.lastSeen === null) !== (other.lastSeen === null)) return false;
  return one.status === 'active' || one.lastSeen === other.lastSeen;
}
