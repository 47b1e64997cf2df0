import { type ChildProcess, fork } from 'node:child_process';

// Commands to a load process and their answers, over the channel between parent and child.
/** What a command answers, or promises to. */
type Answer<F> = F extends (...args: never[]) => infer R ? Awaited<R> : never;
type Arguments<F> = F extends (...args: infer A) => unknown ? A : never;
interface Call {
  id: number;
  name: string;
  args: unknown[];
}
type Reply = { id: number; result: unknown } | { id: number; error: string };

/** In the child: answers for `commands` until the parent is gone. */
export function serve(commands: object): void {
  const known = commands as Record<string, (...args: unknown[]) => unknown>;
  process.on('message', async ({ id, name, args }: Call) => {
    let reply: Reply;
    try {
      reply = { id, result: await known[name]?.apply(commands, args) };
    } catch (error) {
      reply = { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    process.send?.(reply, () => {});
  });
  process.on('disconnect', () => process.exit(0));
  // A parent that is gone by now hears nothing, and the channel ends this process.
  process.send?.({ id: 0, result: 'ready' }, () => {});
}

/** In the parent: a process that answers for the commands `C`. It ends with its parent. */
export class Helper<C extends object> {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  readonly #ended: Promise<void>;
  readonly ready: Promise<void>;
  #serial = 0;

  /** `folder`: of another Rollcall whose file it is; this one's where nothing is said. */
  constructor(file: string, env: Record<string, string> = {}, folder?: string) {
    this.#child = fork(file, {
      env: { PATH: process.env.PATH ?? '', ...env },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      // Figures that are none stay none.
      serialization: 'advanced',
      ...(folder === undefined ? {} : { cwd: folder }),
    });
    const ready = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.#waiting.set(0, { resolve: () => ready.resolve(), reject: ready.reject });
    this.#child.on('message', (reply: Reply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if ('error' in reply) waiting?.reject(new Error(`${file}: ${reply.error}`));
      else waiting?.resolve(reply.result);
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        for (const { reject } of this.#waiting.values()) reject(new Error(`${file} ended with ${code ?? signal}`));
        this.#waiting.clear();
        resolve();
      });
    });
    this.ready.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async ask<K extends keyof C & string>(name: K, ...args: Arguments<C[K]>): Promise<Answer<C[K]>> {
    await this.ready;
    this.#serial++;
    const id = this.#serial;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (result: unknown) => void, reject });
      this.#child.send({ id, name, args });
    });
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
