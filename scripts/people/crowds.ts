import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { CrowdQuestion, CrowdReport } from './crowd.ts';

/** Two thousand clients in one process would measure that process: they are spread over several. */
const USERS_A_PROCESS = 500;

/** Many connected people, half of them with our own client and half with Socket.IO's. */
export class Crowds {
  readonly userIds: readonly string[];
  readonly #children: ChildProcess[];

  private constructor(children: ChildProcess[], userIds: string[]) {
    this.#children = children;
    this.userIds = userIds;
  }

  /** Resolves when all are connected. */
  static async gather(url: string, secret: string, users: number, place = 'crowd'): Promise<Crowds> {
    const userIds: string[] = [];
    const children: ChildProcess[] = [];
    for (const kind of ['sdk', 'plain']) {
      for (let from = 0; from < users / 2; from += USERS_A_PROCESS) {
        const count = Math.min(USERS_A_PROCESS, users / 2 - from);
        const name = `${place}-${kind}-${from}`;
        const args = [url, secret, name, String(count), kind];
        children.push(fork('scripts/people/crowd.ts', args, { env: { PATH: process.env.PATH ?? '' } }));
        userIds.push(...Array.from({ length: count }, (_, n) => `${name}-${n}`));
      }
    }
    const crowds = new Crowds(children, userIds);
    try {
      await Promise.all(children.map(answerOf));
      return crowds;
    } catch (error) {
      crowds.disperse();
      throw error;
    }
  }

  /** What they noticed since the last time. */
  async report(): Promise<CrowdReport> {
    const reports = await this.#ask<CrowdReport>({ ask: 'report' });
    return {
      connected: reports.reduce((sum, { connected }) => sum + connected, 0),
      returns: reports.flatMap(({ returns }) => returns),
      seenInactive: reports.reduce((sum, { seenInactive }) => sum + seenInactive, 0),
      told: reports.reduce((sum, { told }) => sum + told, 0),
    };
  }

  /** So many of each process say goodbye. */
  async leave(users: number): Promise<void> {
    await this.#ask({ ask: 'leave', users });
  }

  /** All who are away come back. */
  async join(): Promise<void> {
    await this.#ask({ ask: 'join' });
  }

  disperse(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }

  #ask<T>(question: CrowdQuestion): Promise<T[]> {
    return Promise.all(
      this.#children.map(async (child) => {
        const answer = answerOf(child);
        child.send(question);
        return (await answer) as T;
      }),
    );
  }
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const over = new AbortController();
  try {
    return await Promise.race([
      once(child, 'message', over).then(([message]) => message),
      once(child, 'exit', over).then(([code]) => Promise.reject(new Error(`A load process ended with ${code}`))),
    ]);
  } finally {
    over.abort();
  }
}
