import { installDebianPackage, onPath, run } from './programs.ts';

/** A program that is a Redis server when run under the name `argv0`. */
export interface RedisProgram {
  command: string;
  argv0: string;
}

// Debian's redis-tools ships the server too: `redis-check-rdb` is the same binary, which looks at its own name.
const candidates = [
  { name: 'redis-server', argv0: 'redis-server' },
  { name: 'valkey-server', argv0: 'valkey-server' },
  { name: 'redis-check-rdb', argv0: 'redis-server' },
];

/** Streams with consumer groups and what BullMQ asks for exist from this version on. */
const oldestVersion = [6, 2] as const;

/** Looks for a server program on the PATH; each is asked for its version before it is believed. */
export async function findRedisProgram(): Promise<RedisProgram | undefined> {
  for (const { name, argv0 } of candidates) {
    const command = onPath(name);
    if (!command) continue;
    const { ok, output } = await run(command, ['--version'], { argv0 });
    const version = /server v=(\d+)\.(\d+)/i.exec(output);
    if (ok && version && isRecent(Number(version[1]), Number(version[2]))) return { command, argv0 };
  }
  return undefined;
}

function isRecent(major: number, minor: number): boolean {
  return major > oldestVersion[0] || (major === oldestVersion[0] && minor >= oldestVersion[1]);
}

/** Finds the program or installs it; a string says why there is none. */
export async function provideRedisProgram(): Promise<RedisProgram | string> {
  const found = await findRedisProgram();
  if (found) return found;
  const reason = await installDebianPackage('redis-tools');
  if (reason) return reason;
  return (await findRedisProgram()) ?? 'the package redis-tools holds no server program (Redis 6.2 or later)';
}
