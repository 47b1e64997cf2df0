import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Arm, FollowUp } from '../presence/follow-up.ts';
import { type ScriptRun, scriptRuns } from '../telemetry/script-runs.ts';
import type { TraceContext } from '../telemetry/tracing.ts';
import type { RedisClient } from './connect.ts';
import { throwIfRefused } from './gate.ts';

const FOLDER = new URL('./lua/', import.meta.url);

/** What can be run: each a file in lua/. */
export const SCRIPT_NAMES = [
  'add-jobs',
  'adopt',
  'apply-rooms',
  'backlog',
  'change-room',
  'close-session',
  'count-rooms',
  'count-seen',
  'delivered',
  'drop-cached',
  'drop-traces',
  'erase',
  'expire-users',
  'glance',
  'hand-over',
  'indicate',
  'inspect',
  'lease',
  'log-out',
  'look',
  'membership',
  'open-session',
  'page-seen',
  'publish',
  'pulse',
  'reach',
  'read-room',
  'read-statuses',
  'relations',
  'remove-jobs',
  'renew-leases',
  'reserve',
  'return-push-place',
  'set-detail',
  'set-privacy',
  'set-status',
  'snapshot',
  'stage-privacy',
  'sweep',
  'take-changes',
  'take-push-place',
  'tell-alert',
  'time',
  'touch-plain',
  'touch-sessions',
  'user-rooms',
  'waiting',
] as const;
export type ScriptName = (typeof SCRIPT_NAMES)[number];

interface Script {
  source: string;
  sha: string;
}

/** What a file says in its first line that it needs: names of parts, lua/lib-<name>.lua. */
const NEEDS = /^-- needs: ([a-z ]+)\n/;

/**
 * The text of a script behind the parts that it needs, and that those need, each once and before whoever needs it. Redis makes
 * them anew in every call, so a script names no more than it uses. Throws where a part is not there.
 */
export function assemble(name: string, read: (file: string) => string): string {
  const parts: string[] = [];
  const seen = new Set<string>();
  const add = (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = read(file);
    for (const needed of NEEDS.exec(text)?.[1]?.split(' ') ?? []) add(`lib-${needed}.lua`);
    parts.push(text);
  };
  add(`${name}.lua`);
  return parts.join('\n');
}

/** The whole text of a script, as Redis is given it. */
export function sourceOf(name: ScriptName): string {
  return assemble(name, (file) => readFileSync(new URL(file, FOLDER), 'utf8'));
}

function loadScript(name: ScriptName): Script {
  const source = sourceOf(name);
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

const scripts = Object.fromEntries(SCRIPT_NAMES.map((name) => [name, loadScript(name)])) as Record<ScriptName, Script>;

/** What a script answers: strings, integers and lists of them. */
export type Reply = string | number | null | Reply[];

/** What a script asks for in the first place of its answer (lua/lib-outbox.lua, `wake`). */
export function followUpOf(shard: number, asked: Reply | undefined, trace: TraceContext): FollowUp {
  const [bits, ...gone] = String(asked).split(' ');
  const [wakeDeliver, wakeRecord] = [(Number(bits) & 1) !== 0, (Number(bits) & 2) !== 0];
  const arms: Arm[] = [];
  for (let n = 0; n + 1 < gone.length; n += 2) {
    arms.push({ kind: 'remove', userId: gone[n] ?? '', number: gone[n + 1] ?? '' });
  }
  return { shard, wakeDeliver, wakeRecord, arms, ...(trace === '' ? {} : { trace }) };
}

/**
 * Runs one of the scripts in lua/, loading it where Redis does not know it (yet, or after a restart). Rejects with what the
 * client says where Redis is away, and with RedisRefused, without asking, while it is known to take nothing.
 */
export async function runScript(
  redis: RedisClient,
  name: ScriptName,
  keys: string[],
  args: (string | number | Buffer)[],
): Promise<Reply[]> {
  const script = scripts[name];
  // The pulse finds out whether Redis takes anything again.
  if (name !== 'pulse') throwIfRefused(redis, keys);
  const begun = performance.now();
  try {
    return (await redis.evalsha(script.sha, keys.length, ...keys, ...args)) as Reply[];
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return (await redis.eval(script.source, keys.length, ...keys, ...args)) as Reply[];
  } finally {
    if (scriptRuns.hasSubscribers) {
      scriptRuns.publish({ script: name, ms: performance.now() - begun } satisfies ScriptRun);
    }
  }
}
