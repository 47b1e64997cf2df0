import type { Scale } from '../measure/figure.ts';
import { type Stack, type StackOptions, startStack } from '../stack.ts';
import type { System } from './system.ts';

export interface Rollcall extends System {
  name: 'rollcall' | 'before';
  secret: string;
  redisUrl: string;
  stack: Stack;
}

/** Rollcall with the settings of a deployment of some size: told are those who watch. */
export async function startRollcall({ env = {}, ...options }: StackOptions = {}): Promise<Rollcall> {
  const stack = await startStack({ ...options, env: { AUDIENCE: 'watchers', ...env } });
  const [first = '', ...others] = stack.urls;
  return {
    name: options.folder === undefined ? 'rollcall' : 'before',
    urls: [first, ...others],
    secret: stack.secret,
    redisUrl: stack.redisUrl,
    parts: {
      web: () => stack.pids.web,
      worker: () => stack.pids.worker,
      redis: () => stack.pids.redis,
      postgres: () => stack.pids.postgres,
    },
    programs: () => [...stack.pids.web, ...stack.pids.worker],
    readyOn: 'ready',
    stack,
    stop: () => stack.stop(),
  };
}

/** Ways to start Rollcall with these settings, and the one before it where one is to be measured beside it. */
export function rollcalls({ against }: Scale, options: StackOptions = {}): (() => Promise<Rollcall>)[] {
  const own = () => startRollcall(options);
  return against === null ? [own] : [own, () => startRollcall({ ...options, folder: against })];
}
