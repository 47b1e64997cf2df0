import { rest, tokenFor } from '../../support/client.ts';
import type { Finding, Scene } from './checks.ts';
import { within } from './device.ts';
import { readPostgres } from './stores.ts';

/** Where watchers, REST or PostgreSQL say something else of people than what must be. */
export async function differingViews({ people, watchers, world }: Scene): Promise<Finding[]> {
  const differing: string[] = [];
  const expected = new Map<string, 'active' | 'inactive'>();
  for (const person of people) {
    const here = person.devices.some(({ alive }) => alive);
    const hidden = person.hiddenAt(Date.now());
    expected.set(person.userId, here && hidden === false ? 'active' : 'inactive');
    for (const watcher of watchers) {
      const view = watcher.view.get(person.userId)?.status ?? 'inactive';
      if (view !== expected.get(person.userId)) {
        const heard = watcher.lastHeard(person.userId);
        differing.push(
          `${watcher.label} takes ${person.userId} for ${view}, who is ${expected.get(person.userId)}; ${heard}`,
        );
      }
    }
  }
  const token = await tokenFor('observer', { scope: 'presence:read' });
  const body = { userIds: people.map(({ userId }) => userId) };
  const { users } = await readPostgres(world);
  for (const web of world.webs) {
    const answer = await within(
      rest(`http://127.0.0.1:${web.port}`, 'POST', '/users/status/query', { token, body }),
      3000,
    );
    for (const { userId, status, lastSeen } of answer?.body.users ?? []) {
      if (status !== expected.get(userId)) differing.push(`REST of ${web.name} says ${userId} is ${status}`);
      const row = users.get(userId);
      if (row && row.status !== expected.get(userId)) differing.push(`PostgreSQL says ${userId} is ${row.status}`);
      const apart = Math.abs((row?.lastSeen ?? 0) - Date.parse(lastSeen));
      if (status === 'inactive' && row?.lastSeen != null && apart > 1000) {
        differing.push(
          `${userId}: last seen ${lastSeen} by REST, ${new Date(row.lastSeen).toISOString()} in PostgreSQL`,
        );
      }
    }
    if (answer?.status !== 200) differing.push(`REST of ${web.name} answers ${answer?.status}`);
  }
  return [...new Set(differing)].map((text) => ({ kind: 'views differ', text }));
}
