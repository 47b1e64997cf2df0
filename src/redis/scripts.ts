import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { Arm, FollowUp } from '../presence/follow-up.ts';
import { type ScriptRun, scriptRuns } from '../telemetry/script-runs.ts';
import type { TraceContext } from '../telemetry/tracing.ts';
import type { RedisClient } from './connect.ts';
import { throwIfRefused } from './gate.ts';

const FOLDER = new URL('./lua/', import.meta.url);

/** The scripts that stand alone. */
const ALONE = new Set([
  'take-changes',
  'publish',
  'pulse',
  'sweep',
  'delivered',
  'lease',
  'backlog',
  'indicate',
  'membership',
  'tell-alert',
  'waiting',
  'count-seen',
  'page-seen',
  'reserve',
  'take-push-place',
  'return-push-place',
  'time',
]);

/** What the others begin with. Redis makes it anew in every call, so what comes often gets no more than it needs. */
const PRELUDE = ['lib-time.lua', 'lib-privacy.lua', 'lib-budget.lua', 'lib.lua'];
const OTHER_PRELUDE = new Map([
  ['read-statuses', ['lib-time.lua', 'lib-privacy.lua', 'lib-status.lua']],
  ['snapshot', [...PRELUDE, 'lib-status.lua']],
  ['relations', ['lib-time.lua', 'lib-privacy.lua']],
  ['stage-privacy', []],
  ['touch-plain', ['lib-time.lua', 'lib-plain.lua']],
  ['touch-sessions', [...PRELUDE, 'lib-plain.lua']],
]);

interface Script {
  source: string;
  sha: string;
}

function loadScripts(): Map<string, Script> {
  const read = (file: string) => readFileSync(new URL(file, FOLDER), 'utf8');
  const scripts = new Map<string, Script>();
  for (const file of readdirSync(FOLDER)) {
    const name = file.replace(/\.lua$/, '');
    if (name === file || name.startsWith('lib')) continue;
    const prelude = ALONE.has(name) ? [] : (OTHER_PRELUDE.get(name) ?? PRELUDE);
    const source = [...prelude, file].map(read).join('\n');
    scripts.set(name, { source, sha: createHash('sha1').update(source).digest('hex') });
  }
  return scripts;
}

const scripts = loadScripts();

/** What a script answers: strings, integers and lists of them. */
export type Reply = string | number | null | Reply[];

/** What a script asks for in the first place of its answer (lib.lua, `wake`). */
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
  name: string,
  keys: string[],
  args: (string | number)[],
): Promise<Reply[]> {
  const script = scripts.get(name);
  if (!script) throw new Error(`There is no script ${name} in ${FOLDER.pathname}`);
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
