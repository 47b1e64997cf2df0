import type { System } from '../systems/system.ts';
import { LightClient } from './light-client.ts';
import { signToken } from './tokens.ts';
import type { Change } from './told.ts';

const LOST_MS = 5000;
const WATCHED_AT_ONCE = 1000;

export interface WatcherOptions {
  /** Which of the webs. */
  url?: string;
  batch?: boolean;
  /** Hears of every change. */
  onChange?: (change: Change) => void;
}

/** One client that watches others and is no user itself, and can be asked to wait until it is told something of one of them. */
export class Watcher {
  readonly #client: LightClient;
  readonly #waiting = new Map<string, (at: number) => void>();

  private constructor(onChange: (change: Change) => void) {
    this.#client = new LightClient({
      event: (packet) => {
        const [event, payload] = JSON.parse(packet.toString('latin1', 2)) as [string, Change & { changes?: Change[] }];
        if (!event.startsWith('user_status_change')) return;
        for (const change of payload.changes ?? [payload]) {
          onChange(change);
          this.#waiting.get(`${change.userId} ${change.status}`)?.(performance.now());
        }
      },
      lost: () => {},
    });
  }

  static async at(system: System, { url, batch = false, onChange = () => {} }: WatcherOptions = {}): Promise<Watcher> {
    const watcher = new Watcher(onChange);
    const auth = { token: tokenFor(system, 'watcher', 'presence:read'), watch: [], ...(batch ? { batch } : {}) };
    await watcher.#client.connect({ url: url ?? system.urls[0], readyOn: 'ready', auth });
    return watcher;
  }

  async watch(userIds: string[]): Promise<void> {
    for (let n = 0; n < userIds.length; n += WATCHED_AT_ONCE) {
      await this.#client.ask('watch', { userIds: userIds.slice(n, n + WATCHED_AT_ONCE) });
    }
  }

  /** When it was told (performance.now()). */
  told(userId: string, status: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(`${userId} ${status}`);
        reject(new Error(`Nobody was told that ${userId} is ${status}.`));
      }, LOST_MS);
      this.#waiting.set(`${userId} ${status}`, (at) => {
        clearTimeout(timer);
        this.#waiting.delete(`${userId} ${status}`);
        resolve(at);
      });
    });
  }

  leave(): void {
    this.#client.leave();
  }
}

const SEEN_FOR_MS = 30;

/** A user comes to the first web and leaves it: how long after their goodbye the watcher is told (ms). */
export async function oneClose(system: System, watcher: Watcher, userId: string): Promise<number> {
  const user = new LightClient({ event: () => {}, lost: () => {} });
  const came = watcher.told(userId, 'active');
  await user.connect({ url: system.urls[0], readyOn: 'ready', auth: { token: tokenFor(system, userId), watch: [] } });
  await came;
  await new Promise((resolve) => setTimeout(resolve, SEEN_FOR_MS));
  const left = watcher.told(userId, 'inactive');
  const from = performance.now();
  user.leave();
  return (await left) - from;
}

function tokenFor(system: System, userId: string, scope?: string): string {
  return signToken(system.secret ?? '', userId, scope);
}
