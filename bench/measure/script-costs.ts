import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import type { Redis } from 'ioredis';
import { SCRIPT_NAMES, sourceOf } from '../../src/redis/scripts.ts';

const MOST_CALLS = 1_000_000;

interface ScriptCost {
  script: string;
  calls: number;
  micros: number;
}

/**
 * Has Redis note every command with what it took, until `scriptCosts` is asked. Costs it a few microseconds for each command.
 */
export async function noteScripts(redis: Redis): Promise<void> {
  await redis.config('SET', 'slowlog-max-len', String(MOST_CALLS));
  await redis.config('SET', 'slowlog-log-slower-than', '0');
  await redis.slowlog('RESET');
}

/** Which scripts were called since `noteScripts`, ours and BullMQ's, how often, and what they took (µs), the dearest first. */
export async function scriptCosts(redis: Redis): Promise<ScriptCost[]> {
  await redis.config('SET', 'slowlog-log-slower-than', '-1');
  const names = namesBySha();
  const costs = new Map<string, ScriptCost>();
  const entries = (await redis.slowlog('GET', -1)) as [number, number, number, string[]][];
  for (const [, , micros, [command = '', sha = '']] of entries) {
    if (!/^eval/i.test(command)) continue;
    const script = names.get(sha) ?? sha.slice(0, 12);
    const cost = costs.get(script) ?? { script, calls: 0, micros: 0 };
    costs.set(script, { script, calls: cost.calls + 1, micros: cost.micros + micros });
  }
  return [...costs.values()].sort((a, b) => b.micros - a.micros);
}

function namesBySha(): Map<string, string> {
  const shaOf = (source: string) => createHash('sha1').update(source).digest('hex');
  const theirs = createRequire(import.meta.url)('bullmq/dist/cjs/scripts') as Record<
    string,
    { name: string; content: string }
  >;
  return new Map([
    ...SCRIPT_NAMES.map((name): [string, string] => [shaOf(sourceOf(name)), name]),
    ...Object.values(theirs).map(({ name, content }): [string, string] => [shaOf(content), `bullmq ${name}`]),
  ]);
}
