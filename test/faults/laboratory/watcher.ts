import type { StatusChange, WatchedUser } from '../../../src/protocol/socket.ts';
import type { ShownDetail } from '../../../src/protocol/vocabulary.ts';
import { TestClient, tokenFor } from '../../support/client.ts';
import { within } from './device.ts';
import type { Member } from './member.ts';
import type { Span } from './spans.ts';

/**
 * What a watcher heard, in order: a picture replaces what it had, a glance what it had of these users, a change is one
 * user's, `gone` ends the connection.
 */
export type Heard = { at: number } & (
  | { kind: 'picture' | 'glance'; users: WatchedUser[] }
  | { kind: 'change'; change: StatusChange }
  | { kind: 'gone' }
);

export interface View {
  status: 'active' | 'inactive';
  lastSeen: string | null;
  version: number;
  /** As it was told last: a change that says nothing of it leaves it as it was. */
  detail: ShownDetail;
}

/** A stretch in which a watcher was shown a text of a user, or that they are idle. */
export interface Said extends Shown {
  text: string;
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
 * Somebody at one web who does what every client does: a picture replaces, a change is dropped where it is not newer. It
 * keeps everything it heard, and comes back whenever its web lets it. An observer, who sees everybody, or a user.
 */
export class Watcher {
  readonly web: Member;
  readonly label: string;
  readonly log: Heard[] = [];
  /** What no receiver may ever see: versions that go back on one connection. */
  readonly violations: { at: number; text: string }[] = [];
  readonly view = new Map<string, View>();
  /** Whether it is told what is said of those who appear inactive. */
  readonly isInsider: boolean;
  /** Whether it is shown those who are here, and not those whom it named. */
  readonly isOfEveryone: boolean;
  protected client: TestClient | null = null;
  readonly #auth: Record<string, unknown>;
  readonly #userId: string | null;
  #timer: NodeJS.Timeout | undefined;
  #busy = false;
  #raw = new Map<string, number>();

  /** `users` null: an audience of everyone. `userId` null: an observer. */
  constructor(web: Member, label: string, users: string[] | null, batch: boolean, userId: string | null = null) {
    this.web = web;
    this.#userId = userId;
    this.isInsider = userId === null;
    this.isOfEveryone = users === null;
    this.label = `${label} at ${web.name}`;
    this.#auth = { batch, ...(users ? { watch: users } : {}) };
  }

  get connected(): boolean {
    return this.client?.socket.connected ?? false;
  }

  start(): Promise<void> {
    this.#timer = setInterval(() => void this.#tick(), 200);
    return this.#tick();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.client?.leave();
  }

  /** By what it last heard of a user (of that version), in words. */
  lastHeard(userId: string, version?: number): string {
    for (const heard of this.log.toReversed()) {
      const users = heard.kind === 'gone' ? [] : heard.kind === 'change' ? [heard.change] : heard.users;
      const found = users.find((one) => one.userId === userId && one.version === (version ?? one.version));
      if (found) return `by a ${heard.kind} ${Date.now() - heard.at} ms before: ${found.status}, ${found.version}`;
    }
    return 'nowhere';
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
      (at, users, isWhole) => {
        if (isWhole) clear(at, new Set(users.map((user) => user.userId)));
        for (const { userId, status } of users) set(userId, status === 'active', at);
      },
    );
    clear(now, new Set());
    return shown;
  }

  /** When it was shown which text of whom, or `idle`; the last ones last until `now`. */
  said(now: number): Said[] {
    const said: Said[] = [];
    const since = new Map<string, Map<string, number>>();
    const set = (userId: string, { text, idle }: ShownDetail, at: number) => {
      const texts = new Set([...(text ? [text] : []), ...(idle ? ['idle'] : [])]);
      const open = since.get(userId) ?? new Map<string, number>();
      since.set(userId, open);
      for (const [shown, from] of [...open]) {
        if (texts.has(shown)) continue;
        open.delete(shown);
        said.push({ userId, text: shown, from, to: at });
      }
      for (const shown of texts) if (!open.has(shown)) open.set(shown, at);
    };
    this.#replay(
      (at, { userId, detail }) => detail && set(userId, detail, at),
      (at, users, isWhole) => {
        const there = new Set(users.map(({ userId }) => userId));
        if (isWhole) for (const userId of since.keys()) if (!there.has(userId)) set(userId, {}, at);
        for (const { userId, detail = {} } of users) set(userId, detail, at);
      },
    );
    for (const userId of since.keys()) set(userId, {}, now);
    return said;
  }

  #replay(
    onChange: (at: number, change: StatusChange) => void,
    onPicture?: (at: number, users: WatchedUser[], isWhole: boolean) => void,
  ) {
    let versions = new Map<string, number>();
    for (const heard of this.log) {
      if (heard.kind === 'change') {
        if (heard.change.version <= (versions.get(heard.change.userId) ?? -1)) continue;
        versions.set(heard.change.userId, heard.change.version);
        onChange(heard.at, heard.change);
      } else {
        const isWhole = heard.kind !== 'glance';
        const users = heard.kind === 'gone' ? [] : heard.users;
        if (isWhole) versions = new Map();
        for (const { userId, version } of users) versions.set(userId, version);
        onPicture?.(heard.at, users, isWhole);
      }
    }
  }

  async #tick(): Promise<void> {
    if (this.#busy || this.connected || !this.web.running) return;
    this.#busy = true;
    const token = await (this.#userId === null
      ? tokenFor('observer', { scope: 'presence:read' })
      : tokenFor(this.#userId));
    const client = new TestClient(`http://127.0.0.1:${this.web.port}`, { token, ...this.#auth });
    client.socket.on('ready', ({ users = [] }) => {
      this.view.clear();
      this.#raw.clear();
      this.#see('picture', users);
    });
    client.socket.on('user_status_change', (change) => this.#hear(change));
    client.socket.on('user_status_changes', ({ changes }) => {
      for (const change of changes) this.#hear(change);
    });
    client.socket.on('disconnect', () => {
      this.log.push({ at: Date.now(), kind: 'gone' });
    });
    this.client = client;
    this.met(client);
    if (!(await within(client.welcomed(), 2500))) client.leave();
    this.#busy = false;
  }

  /** Asks for a picture of these users, as a client does that watches further ones. Null: it was refused. */
  protected glance(userIds: string[]): Promise<WatchedUser[] | null> {
    return new Promise((resolve) => {
      // Taken in before whatever comes behind it.
      this.client?.socket.emit('watch', { userIds }, (answer) => {
        if (answer.ok) this.#see('glance', answer.users);
        resolve(answer.ok ? answer.users : null);
      });
    });
  }

  /** A new connection, before it is let in. */
  protected met(_client: TestClient): void {}

  #see(kind: 'picture' | 'glance', users: WatchedUser[]): void {
    this.log.push({ at: Date.now(), kind, users });
    for (const user of users) {
      this.#raw.set(user.userId, user.version);
      this.view.set(user.userId, { ...user, detail: user.detail ?? {} });
    }
  }

  #hear(change: StatusChange): void {
    const { userId, version } = change;
    this.log.push({ at: Date.now(), kind: 'change', change });
    const before = this.#raw.get(userId) ?? -1;
    if (version < before) {
      const since = this.lastHeard(userId, before);
      this.violations.push({
        at: Date.now(),
        text: `${userId} went back from version ${before}, heard ${since}, to ${version}`,
      });
    }
    this.#raw.set(userId, version);
    const known = this.view.get(userId);
    if (version <= (known?.version ?? -1)) return;
    this.view.set(userId, { ...change, detail: change.detail ?? known?.detail ?? {} });
  }
}
