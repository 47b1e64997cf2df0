import { Helper } from '../load/rpc.ts';
import type { Sessions } from '../load/sessions.ts';
import type { Tutorial } from './baselines.ts';
import type { Rollcall } from './rollcall.ts';

export type SessionsHelper = Helper<Sessions<unknown>>;

/** A process that holds sessions without sockets. It belongs to the system: what it spends counts. */
export function startSessions(system: Rollcall | Tutorial): SessionsHelper {
  const helper =
    system.name === 'tutorial'
      ? new Helper<Sessions<unknown>>('bench/load/tutorial-sessions.ts', system.settings)
      : new Helper<Sessions<unknown>>('bench/load/rollcall-sessions.ts', system.stack.settings, system.stack.folder);
  const others = system.parts.sessions ?? (() => []);
  system.parts.sessions = () => [...others(), helper.pid];
  return helper;
}
