import type { StatusChange, WatchedUser } from '../../../src/protocol/socket.ts';
import { TestClient, tokenFor } from '../../support/client.ts';
import { within } from './device.ts';
import type { Member } from './member.ts';
import type { Span } from './spans.ts';

/** What a watcher heard, in order: a picture replaces what it had, a change is one user's, `gone` ends the connection. */
export type Heard = { at: number } & (
  | { kind: 'picture'; users: WatchedUser[] }
  | { kind: 'change'; change: StatusChange }
  | { kind: 'gone' }
);

export interface View {
  status: 'active' | 'inactive';
  lastSeen: string | null;
  version: number;
}

/** A stretch in which a watcher took a user for active. */
export interface Shown extends Span {
  userId: string;
}

/** A change that the watcher took over: it was newer than what it had. */
export interface Taken {
  at: number;
  change: StatusChange;
}

/**
 * An observer at one web that does what every client does: a picture replaces, a change is dropped where it is not
 * newer. It keeps everything it heard, and comes back whenever its web lets it.
 */
export class Watcher {
  readonly web: Member;
  readonly label: string;
  readonly log: Heard[] = [];
  /** What no receiver may ever see: versions that go back on one connection. */
  readonly violations: { at: number; text: string }[] = [];
  readonly view = new Map<string, View>();
  readonly #auth: Record<string, unknown>;
  #client: TestClient | null = null;
  #timer: NodeJS.Timeout | undefined;
  #busy = false;
  #raw = new Map<string, number>();

  /** `users` null: an audience of everyone. */
  constructor(web: Member, label: string, users: string[] | null, batch: boolean) {
    this.web = web;
    this.label = `${label} at ${web.name}`;
    this.#auth = { batch, ...(users ? { watch: users } : {}) };
  }

  get connected(): boolean {
    return this.#client?.socket.connected ?? false;
  }

  start(): Promise<void> {
    this.#timer = setInterval(() => void this.#tick(), 200);
    return this.#tick();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#client?.leave();
  }

  /** Every change that it took over, in order. */
  taken(): Taken[] {
    const taken: Taken[] = [];
    this.#replay((at, change) => taken.push({ at, change }));
    return taken;
  }

  /** When it took whom for active; the last ones last until `now`. */
  shown(now: number): Shown[] {
    const shown: Shown[] = [];
    const since = new Map<string, number>();
    const set = (userId: string, active: boolean, at: number) => {
      const from = since.get(userId);
      if (active && from === undefined) since.set(userId, at);
      if (active || from === undefined) return;
      since.delete(userId);
      shown.push({ userId, from, to: at });
    };
    const clear = (at: number, kept: Set<string>) => {
      for (const userId of [...since.keys()]) if (!kept.has(userId)) set(userId, false, at);
    };
    this.#replay(
      (at, change) => set(change.userId, change.status === 'active', at),
      (at, users) => {
        const active = users.filter((user) => user.status === 'active').map((user) => user.userId);
        clear(at, new Set(active));
        for (const userId of active) set(userId, true, at);
      },
    );
    clear(now, new Set());
    return shown;
  }

  #replay(
    onChange: (at: number, change: StatusChange) => void,
    onPicture?: (at: number, users: WatchedUser[]) => void,
  ) {
    let versions = new Map<string, number>();
    for (const heard of this.log) {
      if (heard.kind === 'change') {
        if (heard.change.version <= (versions.get(heard.change.userId) ?? -1)) continue;
        versions.set(heard.change.userId, heard.change.version);
        onChange(heard.at, heard.change);
      } else {
        const users = heard.kind === 'picture' ? heard.users : [];
        versions = new Map(users.map((user) => [user.userId, user.version]));
        onPicture?.(heard.at, users);
      }
    }
  }

  async #tick(): Promise<void> {
    if (this.#busy || this.connected || !this.web.running) return;
    this.#busy = true;
    const token = await tokenFor('observer', { scope: 'presence:read' });
    const client = new TestClient(`http://127.0.0.1:${this.web.port}`, { token, ...this.#auth });
    client.socket.on('ready', ({ users = [] }) => {
      this.log.push({ at: Date.now(), kind: 'picture', users });
      this.view.clear();
      this.#raw = new Map(users.map((user) => [user.userId, user.version]));
      for (const user of users) this.view.set(user.userId, user);
    });
    client.socket.on('user_status_change', (change) => this.#hear(change));
    client.socket.on('user_status_changes', ({ changes }) => {
      for (const change of changes) this.#hear(change);
    });
    client.socket.on('disconnect', () => {
      this.log.push({ at: Date.now(), kind: 'gone' });
    });
    this.#client = client;
    if (!(await within(client.welcomed(), 2500))) client.leave();
    this.#busy = false;
  }

  #hear(change: StatusChange): void {
    const { userId, version } = change;
    this.log.push({ at: Date.now(), kind: 'change', change });
    const before = this.#raw.get(userId) ?? -1;
    if (version < before) {
      const heard = this.log.findLast(({ at, ...what }) => {
        if (what.kind === 'gone') return false;
        const all = what.kind === 'picture' ? what.users : [what.change];
        return all.some((one) => one.userId === userId && one.version === before);
      });
      const since = heard ? `by a ${heard.kind} ${Date.now() - heard.at} ms before` : 'nowhere';
      this.violations.push({
        at: Date.now(),
        text: `${userId} went back from version ${before}, heard ${since}, to ${version}`,
      });
    }
    this.#raw.set(userId, version);
    if (version > (this.view.get(userId)?.version ?? -1)) this.view.set(userId, change);
  }
}
