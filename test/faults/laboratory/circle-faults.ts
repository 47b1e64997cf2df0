import { shardOf } from '../../../src/redis/keys.ts';
import { Backup } from './backup.ts';
import type { Circle } from './circle.ts';
import type { CircleFault } from './circle-schedule.ts';
import type { World } from './world.ts';

/** Something befalls what the stores remember of a circle. One that is away already is left alone. */
export async function befallCircle(circle: Circle, step: CircleFault): Promise<void> {
  const { world } = circle;
  const { redis, disturbances } = world;
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  switch (step.circle) {
    case 'lose privacy':
      return losePrivacy(
        world,
        step.whom.map((n) => circle.subject(n).userId),
      );
    case 'lose members':
      return evict(
        world,
        [world.keys.members, world.keys.removedMembers].map((key) => key(shardOf(circle.conversationId))),
      );
    case 'roll back redis': {
      if (disturbances.isOn('redis')) return;
      const dump = await redis.dump();
      await pause(step.lasts);
      if (!disturbances.isOn('redis')) await redis.rollBack(dump);
      return;
    }
    case 'restore postgres': {
      if (disturbances.isOn('postgres')) return;
      const backup = await backUp(circle);
      await pause(step.lasts);
      if (!disturbances.isOn('postgres')) await restore(circle, backup, step.stops);
    }
  }
}

/** Redis has evicted what says who may see these users. */
export function losePrivacy(world: World, userIds: string[]): Promise<void> {
  return evict(
    world,
    userIds.map((userId) => world.keys.privacy(userId)),
  );
}

export async function backUp({ world, ids, typist }: Circle): Promise<Backup> {
  const client = await world.connectPostgres();
  try {
    return await Backup.of(client, [...ids, typist.userId]);
  } finally {
    await client.end();
  }
}

/** `stops`: as an operator does, with nobody at work. Else as when a standby takes over that has not heard of everything. */
export async function restore(circle: Circle, backup: Backup, stops: boolean): Promise<void> {
  const { world, record, erasures } = circle;
  circle.restored = true;
  if (stops) await Promise.all(world.members.map((member) => member.terminate()));
  await world.besidePostgres(async (client) => {
    record.forget(Date.now());
    await backup.restore(client);
    // What was answered from before it until now is not what holds.
    record.forget(Date.now());
  });
  if (stops) await Promise.all(world.members.map((member) => member.start()));
  // Whoever restores a backup erases again who has been erased since.
  const erased = new Set(erasures.filter(({ to }) => to >= backup.at).map(({ userId }) => userId));
  for (const person of circle.subjects) if (erased.has(person.userId)) await circle.erase(person);
}

async function evict(world: World, keys: string[]): Promise<void> {
  const redis = world.inspector();
  try {
    // While Redis is away nothing is evicted either.
    await redis.del(...keys).catch(() => {});
  } finally {
    redis.disconnect();
  }
}
