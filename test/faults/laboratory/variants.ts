import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '../../../scripts/embedded/server-process.ts';
import type { Kind } from './checks.ts';
import * as scenes from './scenes.ts';

/** The project with one thing broken on purpose. */
export interface Variant {
  name: string;
  file: string;
  /** Has to be there exactly once, so that the list breaks with the code and not silently. */
  find: string;
  replace: string;
  /** What happens in the world, always the same: nothing is found with the code as it is. */
  scene: (laboratory: scenes.Stage) => Promise<void>;
  /** Whether it is about who may see and hear whom: then there are those who look. */
  circle?: true;
  /** What is found with the variant. */
  caughtAs: Kind;
}

export const VARIANTS: Variant[] = [
  {
    name: 'late-goodbye check removed',
    file: 'src/redis/lua/close-session.lua',
    find: 'if not s or s.conn ~= conn then',
    replace: 'if not s then',
    scene: scenes.lateGoodbye,
    caughtAs: 'false inactive',
  },
  {
    name: 'job id without activation',
    file: 'src/queues/jobs.ts',
    find: `replaceAll(':', '!')}-\${number}\``,
    replace: `replaceAll(':', '!')}-\${name === 'check' ? '' : number}\``,
    scene: scenes.comesBackLater,
    caughtAs: 'jobs',
  },
  {
    name: 'sweep off',
    file: 'workers/sweep.ts',
    find: 'this.#keepPace();\n    this.#tick();',
    replace: '',
    scene: scenes.jobsLost,
    caughtAs: 'ghost',
  },
  {
    name: 'last_seen at detection',
    file: 'src/redis/lua/lib-settle.lua',
    find: 'if deadline <= now and not mayBeat(s) then',
    replace: 'if deadline <= now and not mayBeat(s) then\n      heard(u, now)',
    scene: scenes.goesSilent,
    caughtAs: 'last seen',
  },
  {
    name: 'handover off',
    file: 'src/web/sockets/gateway.ts',
    find: 'await connections.handOver();',
    replace: '',
    scene: scenes.deploy,
    caughtAs: 'false inactive',
  },
  {
    name: 'ack before write',
    file: 'src/redis/lua/take-changes.lua',
    find: 'local entries = found[outboxKey]',
    replace:
      "local entries = found[outboxKey]\nfor _, entry in ipairs(entries or {}) do redis.call('XACK', outboxKey, group, entry[1]) end",
    scene: scenes.leavesWithoutPostgres,
    caughtAs: 'history',
  },
  {
    name: 'settle-first off',
    file: 'src/redis/lua/open-session.lua',
    find: 'local wasFresh = u.fresh\n  settle(u)',
    replace: 'local wasFresh = u.fresh',
    scene: scenes.comesBackUnnoticed,
    caughtAs: 'absence',
  },
  {
    name: 'tombstones off',
    file: 'src/redis/lua/lib-record.lua',
    find: 'return (u.refused[conn] or 0) > now',
    replace: 'return false',
    scene: scenes.beatsAfterLogout,
    caughtAs: 'ghost',
  },
  {
    name: 'no hold after a Redis outage',
    file: 'src/redis/lua/pulse.lua',
    find: 'if longest and longest - now > 0 then',
    replace: 'if false then',
    scene: scenes.redisAway,
    caughtAs: 'false inactive',
  },
  {
    name: 'privacy open when the key is missing',
    file: 'src/redis/lua/lib-privacy.lua',
    find: 'if not open and (revision == 0 or (mark ~= NO_RECORD and mark ~= whole(revision))) then return nil end',
    replace: '',
    scene: scenes.hiddenAndForgotten,
    circle: true,
    caughtAs: 'privacy',
  },
  {
    name: 'revision from 0',
    file: 'src/postgres/privacy.ts',
    find: `UPDATE users SET privacy_revision = GREATEST(privacy_revision + 1, previous + 1, \${NOW_MS})`,
    replace: 'UPDATE users SET privacy_revision = privacy_revision + 1',
    scene: scenes.blocksAfterRestore,
    circle: true,
    caughtAs: 'privacy',
  },
  {
    name: 'membership told once',
    file: 'workers/memberships.ts',
    find: 'const untold = await untoldRemovals(db, LEFT_TO_THE_WEB_MS, AT_ONCE);',
    replace: 'const untold: Removal[] = [];',
    scene: scenes.putOutUntold,
    circle: true,
    caughtAs: 'membership',
  },
  {
    name: 'projection not reconciled',
    file: 'workers/broadcasts.ts',
    find: 'const followed = rooms.follow(steps.flatMap(({ entries }) => entries));',
    replace: 'const followed = Promise.resolve(rooms);',
    scene: scenes.goneFromRoom,
    caughtAs: 'rooms',
  },
  {
    name: 'restore without rooms',
    file: 'src/web/sockets/room-members.ts',
    find: 'const all = connection.holds ? [...(connection.rooms ?? [])] : [];',
    replace: 'const all: [string, { since: number; data: string }][] = [];',
    scene: scenes.roomsLost,
    caughtAs: 'rooms',
  },
  {
    name: 'hidden shown in a room',
    file: 'src/redis/lua/lib-rooms.lua',
    find: 'isVisible(u) and not u.showing',
    replace: 'next(u.sessions) ~= nil',
    scene: scenes.hidesInRoom,
    caughtAs: 'rooms',
  },
  {
    name: 'a source shown beyond its end',
    file: 'src/redis/lua/lib-record.lua',
    find: 'if not u.detailUntil or u.detailUntil > now then return end',
    replace: 'if u then return end',
    scene: scenes.callEnds,
    caughtAs: 'detail',
  },
  {
    name: 'a displaced source not shown again',
    file: 'src/redis/lua/lib-record.lua',
    find: 'setSources(u, left)',
    replace: 'setSources(u, {})',
    scene: scenes.callEnds,
    caughtAs: 'detail',
  },
  {
    name: 'sources not compared after a return of Redis',
    file: 'workers/sources-comparison.ts',
    find: 'this.#place = START;\n      this.#backoff.reset();',
    replace: '',
    scene: scenes.saidAndRolledBack,
    caughtAs: 'detail',
  },
  {
    name: 'idle once, idle until away',
    file: 'src/redis/lua/lib-record.lua',
    find: 'u.idleSince = idle and (u.idleSince or u.activeUntil or now) or nil',
    replace: 'u.idleSince = (idle or u.idleSince) and (u.idleSince or u.activeUntil or now) or nil',
    scene: scenes.idleAndBack,
    caughtAs: 'idle',
  },
  {
    name: 'a lease stays in its rooms',
    file: 'src/redis/lua/lib-rooms.lua',
    find: 'if not u.sessions[own.sid] or (isOver and own.unclaimed) then',
    replace: "if (not u.sessions[own.sid] and string.sub(own.sid, 1, 1) ~= 'l') or (isOver and own.unclaimed) then",
    scene: scenes.leaseInRoomEnds,
    caughtAs: 'rooms',
  },
];

/** The code that the processes run, in a folder of its own; with a variant, with that one thing broken. */
export async function copyOfTheCode(variant?: Variant): Promise<{ root: string; remove(): Promise<void> }> {
  const folder = await temporaryFolder('variant');
  for (const part of ['src', 'workers', 'migrations', 'package.json']) {
    await cp(part, join(folder.path, part), { recursive: true });
  }
  await symlink(join(process.cwd(), 'node_modules'), join(folder.path, 'node_modules'));
  if (variant) {
    const file = join(folder.path, variant.file);
    const parts = (await readFile(file, 'utf8')).split(variant.find);
    if (parts.length !== 2) {
      await folder.remove();
      throw new Error(`"${variant.name}": what it replaces is ${parts.length - 1} times in ${variant.file}, not once`);
    }
    await writeFile(file, parts.join(variant.replace));
  }
  return { root: folder.path, remove: folder.remove };
}
