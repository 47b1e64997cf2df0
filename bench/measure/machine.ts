import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, release, totalmem } from 'node:os';

const HASHES = 60_000;

/**
 * A fixed piece of work, about a fifth of a second of one core: its CPU time says how fast the machine is just now, its
 * time on the wall how much others take of it.
 */
export function cpuJob(): { cpuMs: number; wallMs: number } {
  const [from, at] = [process.cpuUsage(), performance.now()];
  let text = 'rollcall';
  let sum = 0;
  for (let n = 0; n < HASHES; n++) {
    text = createHash('sha256').update(`${text}${sum}`).digest('base64url');
    for (let place = 0; place < text.length; place++) sum = (Math.imul(sum, 31) + text.charCodeAt(place)) | 0;
  }
  const { user, system } = process.cpuUsage(from);
  return { cpuMs: (user + system) / 1000, wallMs: performance.now() - at };
}

export interface Machine {
  cpus: number;
  model: string;
  memoryGiB: number;
  kernel: string;
  versions: Record<string, string>;
  commit: string;
}

/** Where and with what a run was made. */
export function describeMachine(): Machine {
  const require = createRequire(import.meta.url);
  const versionOf = (name: string) => {
    // Not every package lets its package.json be asked for by name.
    const file = require.resolve.paths(name)?.map((folder) => `${folder}/${name}/package.json`) ?? [];
    for (const path of file) {
      try {
        return String(JSON.parse(readFileSync(path, 'utf8')).version);
      } catch {
        // Not in this folder.
      }
    }
    return 'unknown';
  };
  const packages = ['socket.io', 'bullmq', 'ioredis', 'fastify', 'jose', '@socket.io/redis-adapter'];
  return {
    cpus: cpus().length,
    model: cpus()[0]?.model ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    versions: { node: process.versions.node, ...Object.fromEntries(packages.map((name) => [name, versionOf(name)])) },
    commit: commit(),
  };
}

function commit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const dirty = git('status', '--porcelain', '--untracked-files=no', 'src', 'workers').trim() !== '';
    return git('rev-parse', '--short', 'HEAD').trim() + (dirty ? ' with changes' : '');
  } catch {
    return 'unknown';
  }
}
