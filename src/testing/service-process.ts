import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findHome } from './home.ts';

/** Where the service is, as `scripts/dev.ts` says it. */
export interface RunningService {
  url: string;
  secret: string;
  redisUrl: string;
  databaseUrl: string;
  /** Resolves with its code when it has ended, asked to or not. */
  ended: Promise<number>;
  /** What it wrote last, where that was not shown. */
  lastLines(): string;
  stop(): Promise<void>;
}

export interface ServiceProcessOptions {
  home?: string | undefined;
  settings: Readonly<Record<string, string>>;
  /** `all`: what web and worker log goes to standard output, too; `errors`: only what is wrong; `none`. */
  logs: 'all' | 'errors' | 'none';
}

/** Beyond what the service itself allows for draining. */
const STOP_LIMIT_MS = 30_000;
const KEPT_LINES = 40;

/**
 * Starts the service from Rollcall's folder, with that folder's Node, on stores of its own. It ends with this process, however that
 * ends, since it holds on to a pipe.
 */
export async function startServiceProcess({ home, settings, logs }: ServiceProcessOptions): Promise<RunningService> {
  const folder = findHome(home);
  const child = spawn(process.execPath, [join(folder, 'scripts', 'setup.mjs'), join('scripts', 'dev.ts')], {
    // Its own folder: npm installs there what is missing, and programs are kept there.
    cwd: folder,
    env: { ...withoutNpm(process.env), ROLLCALL_SETTINGS: JSON.stringify(settings), ROLLCALL_LOGS: logs },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => {});
  const lines: string[] = [];
  const ended = once(child, 'exit').then(([code]: (number | null)[]) => code ?? 1);
  ended.catch(() => {});
  const told = new Promise<Pick<RunningService, 'url' | 'secret' | 'redisUrl' | 'databaseUrl'>>((resolve) => {
    const hear = (line: string) => {
      if (line.startsWith('{"url":')) return resolve(JSON.parse(line));
      lines.push(line);
      if (lines.length > KEPT_LINES) lines.shift();
      if (logs !== 'none') process.stderr.write(`${line}\n`);
    };
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', hear);
  });
  const place = await Promise.race([
    told,
    ended.then(() => {
      throw new Error(`Rollcall did not start (${folder}):\n${lines.join('\n')}`);
    }),
  ]);
  letGo(child);
  return {
    ...place,
    ended,
    lastLines: () => lines.join('\n'),
    async stop() {
      child.ref();
      child.stdin.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** A test runner that has done its work may end: the service notices. */
function letGo(child: ChildProcess): void {
  child.unref();
  for (const stream of child.stdio) {
    if (stream && 'unref' in stream && typeof stream.unref === 'function') stream.unref();
  }
}

/** Without what npm says of the application's own script: the folder's npm is to install for the folder. */
function withoutNpm(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(npm_|INIT_CWD$|NODE_OPTIONS$|NODE_ENV$)/i.test(name)),
  );
}
