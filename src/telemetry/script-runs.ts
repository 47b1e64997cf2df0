import { channel } from 'node:diagnostics_channel';

/** One call of a script in Redis, however it ended; `ms` from asking to the answer. */
export interface ScriptRun {
  script: string;
  ms: number;
}

/** Where calls of scripts are told to whoever measures them; costs nothing while nobody does. */
export const scriptRuns = channel('rollcall:script-run');
