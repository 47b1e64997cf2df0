import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';

const NAME = 'rollcall';

/** The rules that the operations guide gives to Rollcall's own user in Redis, `>secret` among them. */
export async function rightsOfTheGuide(): Promise<string[]> {
  const guide = await readFile('docs/operations.md', 'utf8');
  const [, rules = ''] = new RegExp(`^(?:redis-cli )?ACL SETUSER ${NAME} (.+?)^\`\`\`$`, 'ms').exec(guide) ?? [];
  return rules
    .replaceAll("'", '')
    .split(/[\s\\]+/)
    .filter((rule) => rule !== '');
}

/** Makes that user; returns the address by which it logs in. */
export async function giveRights(redisUrl: string, rules?: string[]): Promise<string> {
  const owner = new Redis(redisUrl);
  try {
    await owner.acl('SETUSER', NAME, ...(rules ?? (await rightsOfTheGuide())));
  } finally {
    owner.disconnect();
  }
  return redisUrl.replace('//', `//${NAME}:secret@`);
}

/** What was refused to that user: commands, keys and channels. */
export async function refusedTo(redisUrl: string): Promise<string[]> {
  const owner = new Redis(redisUrl);
  try {
    const entries = (await owner.acl('LOG')) as (string | number)[][];
    const facts = entries.map((entry) => new Map(entry.map((name, n) => [`${name}`, `${entry[n + 1]}`])));
    const own = facts.filter((entry) => entry.get('username') === NAME);
    return [...new Set(own.map((entry) => `${entry.get('reason')} ${entry.get('object')}`))].sort();
  } finally {
    owner.disconnect();
  }
}

/** What the processes ask for outside of scripts and no script does. */
export const ASKED = [
  ...['bzpopmin', 'client|list', 'client|setname', 'config|get', 'eval', 'evalsha', 'exec', 'multi', 'srandmember'],
  ...['sscan', 'xread', 'xrevrange', 'zmscore', 'zscan'],
];

/** Of BullMQ's scripts those that nothing here calls: flows, relays, logs of jobs, and a repair of queues that operators run. */
const UNUSED =
  /^(addLog|addParentJob|getDependencyCounts|moveToWaitingChildren|paginate|relay\w+|release\w+Dependencies|removeChildDependency|removeOrphanedJobs|removeUnprocessedChildren)-/;
const CALL = /(?:rcall|redis\.p?call)\(\s*\\?["']([A-Za-z]+)\\?["'](?:\s*,\s*\\?["']([A-Z]+)\\?["'])?/g;
/** Commands that are nothing without their second word. */
const CONTAINERS = new Set(['xgroup', 'xinfo']);

/** What the scripts call, of ours and of BullMQ, and how many of them were read. */
export async function commandsOfScripts(): Promise<{ commands: Set<string>; scripts: number }> {
  const folders = ['src/redis/lua', 'node_modules/bullmq/dist/cjs/scripts'];
  const files = await Promise.all(folders.map(async (name) => (await readdir(name)).map((file) => join(name, file))));
  const scripts = files
    .flat()
    .filter((file) => /(?:\.lua|-\d+\.js)$/.test(file) && !UNUSED.test(file.replace(/.*\//, '')));
  const texts = await Promise.all(scripts.map((file) => readFile(file, 'utf8')));
  const calls = texts.flatMap((text) => [...text.matchAll(CALL)].map(([, name = '', second = '']) => [name, second]));
  const lower = calls.map((words) => words.map((word) => word.toLowerCase()));
  const commands = new Set(lower.map(([name = '', second]) => (CONTAINERS.has(name) ? `${name}|${second}` : name)));
  return { commands, scripts: scripts.length };
}
