import { rest, tokenFor } from '../../support/client.ts';
import { Device, within } from './device.ts';
import type { Member } from './member.ts';
import { SOURCES, Sources } from './sources.ts';
import type { End, LeaseLife, Life, Span } from './spans.ts';
import { TTL_MS, type World } from './world.ts';

const PATIENCE_MS = 3000;

/** A choice: `from` asked, `to` answered. `sure`: it was answered with yes; else nobody knows whether it was made. */
export interface Choice extends Span {
  kind: 'hide' | 'show' | 'logout';
  sure: boolean;
  /** Of a hiding that ends by itself. */
  lastsMs: number | null;
  /** Of a logout that ends leases, too. */
  everywhere?: boolean;
}

/** A user with one or more devices, and what they did. */
export class Person {
  readonly userId: string;
  readonly devices: Device[];
  readonly choices: Choice[] = [];
  /** Signs of life by a POST, without a socket. */
  readonly posts: Life[] = [];
  /** Signs of life by leases, which nobody renews by themselves, and how these were ended. */
  readonly leases: LeaseLife[] = [];
  readonly leaseEnds: (End & { name: string })[] = [];
  /** What is said of them beside the status. */
  readonly sources: Sources;
  readonly world: World;

  /** `ownTtlMs`: of the devices' sessions; null: as configured. */
  constructor(world: World, userId: string, devices: number, ownTtlMs: number | null = null) {
    this.world = world;
    this.userId = userId;
    this.sources = new Sources(userId);
    this.devices = Array.from(
      { length: devices },
      (_, n) => new Device(world, userId, `${userId}-device${n}`, n === 0 ? ownTtlMs : null),
    );
  }

  /** The longest time (ms) for which a sign of life of theirs holds. */
  get longestTtlMs(): number {
    return Math.max(TTL_MS, ...[...this.devices, ...this.leases].map(({ ttlMs }) => ttlMs));
  }

  /** Puts a lease, by this web where it runs; `rooms` null: nothing is said of them. */
  async lease(
    name: string,
    { ttlMs, rooms = null, state = null }: { ttlMs: number; rooms?: string[] | null; state?: 'active' | 'idle' | null },
    preferred: number,
  ): Promise<void> {
    const web = this.#web(preferred);
    if (!web) return;
    const life: LeaseLife = {
      ...{ from: Date.now(), to: Number.POSITIVE_INFINITY, sure: false },
      ...{ web: web.name, line: 0, name, ttlMs, rooms },
    };
    this.leases.push(life);
    const answer = await this.#ask(web.port, 'PUT', `/users/${this.userId}/leases/${name}`, {
      ttlSeconds: ttlMs / 1000,
      ...(rooms && { rooms: rooms.map((roomId) => ({ roomId })) }),
      ...(state && { state }),
    });
    life.to = Date.now();
    life.sure = answer === 200;
  }

  /** Ends a lease, by this web where it runs. */
  async endLease(name: string, preferred: number): Promise<void> {
    const web = this.#web(preferred);
    if (!web) return;
    const end = { kind: 'close' as const, from: Date.now(), to: Number.POSITIVE_INFINITY, sure: false, name };
    this.leaseEnds.push(end);
    const answer = await this.#ask(web.port, 'DELETE', `/users/${this.userId}/leases/${name}`);
    end.to = Date.now();
    end.sure = answer === 204;
  }

  /** A source says something of them, for so long or (null) until further notice; by this web where it runs. */
  async say(source: number, lastsMs: number | null, preferred: number): Promise<void> {
    const web = this.#web(preferred);
    if (web) await this.sources.say(web, sourceOf(source), lastsMs);
  }

  /** A source says nothing of them any more. */
  async endSource(source: number, preferred: number): Promise<void> {
    const web = this.#web(preferred);
    if (web) await this.sources.end(web, sourceOf(source));
  }

  device(n: number): Device {
    const device = this.devices[n % this.devices.length];
    if (!device) throw new Error(`${this.userId} has no device`);
    return device;
  }

  hide(lastsMs: number | null = null): Promise<void> {
    const expiry = lastsMs === null ? {} : { expiresInSeconds: lastsMs / 1000 };
    return this.#choose('hide', { status: 'inactive', ...expiry }, lastsMs);
  }

  /** Ends appearing inactive; also a sign of life. */
  async show(): Promise<void> {
    const life: Life = { from: Date.now(), to: Number.POSITIVE_INFINITY, sure: false, web: 'any', line: 0 };
    this.posts.push(life);
    await this.#choose('show', { status: 'active' }, null);
    life.to = Date.now();
    life.sure = this.choices.at(-1)?.sure ?? false;
  }

  /** Signs out everywhere, by a web that may be another one than those the devices are at. */
  logOutEverywhere(web = 0): Promise<void> {
    return this.#signOut(this.devices, {}, web);
  }

  /** Signs out a device that is connected, by another web than its own. */
  logOutElsewhere(device: Device, web: number): Promise<void> {
    return this.#signOut([device], { sessionId: device.sessionId }, web);
  }

  async #signOut(devices: readonly Device[], body: { sessionId?: string | null }, web: number): Promise<void> {
    const choice: Choice = {
      kind: 'logout',
      from: Date.now(),
      to: Number.POSITIVE_INFINITY,
      sure: false,
      lastsMs: null,
      everywhere: body.sessionId == null,
    };
    this.choices.push(choice);
    const end: End = { kind: 'logout', from: choice.from, to: Number.POSITIVE_INFINITY, sure: false };
    for (const device of devices) device.wanted = false;
    const answer = await this.#post('/users/logout', body, web);
    choice.to = Date.now();
    end.to = choice.to;
    choice.sure = answer === 204;
    end.sure = choice.sure;
    for (const device of devices) {
      await device.signedOut(end);
      // Who could not be signed out at least goes, unless they have come again by now.
      if (!end.sure && !device.wanted) await device.leave();
    }
  }

  async logOutOneDevice(device: Device): Promise<void> {
    const choice: Choice = {
      kind: 'logout',
      from: Date.now(),
      to: Number.POSITIVE_INFINITY,
      sure: false,
      lastsMs: null,
    };
    // Whether it was the last session that was here is more than the person knows.
    this.choices.push(choice);
    if (!(await device.logOut())) await device.leave();
    choice.to = Date.now();
  }

  /** Whether others may see them as they are, for all that is certain: null where it is not. */
  hiddenAt(moment: number): boolean | null {
    const last = this.choices.findLast((choice) => choice.from <= moment);
    if (!last) return false;
    if (!last.sure || moment < last.to || this.isLost(last)) return null;
    if (last.kind !== 'hide') return false;
    if (last.lastsMs === null || moment < last.from + last.lastsMs) return true;
    return moment > last.to + last.lastsMs ? false : null;
  }

  /** Whether Redis may have lost that the user is to be seen again: who hid before is hidden then until they choose anew. */
  isLost({ kind, to }: Choice): boolean {
    return (
      kind !== 'hide' &&
      this.world.redis.losses.some((loss) => loss.how !== 'emptied' && loss.from <= to && loss.to >= to)
    );
  }

  /** Makes certain what was not: chooses again until it is answered. */
  async makeCertain(): Promise<void> {
    await this.sources.makeCertain(() => this.#web(0));
    for (let attempt = 0; attempt < 20 && this.hiddenAt(Date.now()) === null; attempt++) {
      const last = this.choices.at(-1);
      if (last?.sure && !this.isLost(last)) await new Promise((resolve) => setTimeout(resolve, 200));
      else if (last?.kind === 'hide') await this.hide();
      else await this.show();
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.devices.map((device) => device.stop()));
  }

  async #choose(kind: 'hide' | 'show', body: object, lastsMs: number | null): Promise<void> {
    const choice: Choice = { kind, from: Date.now(), to: Number.POSITIVE_INFINITY, sure: false, lastsMs };
    this.choices.push(choice);
    choice.sure = (await this.#post('/users/status', body, 0)) === 200;
    choice.to = Date.now();
  }

  async #post(path: string, body: object, preferred: number): Promise<number | null> {
    const web = this.#web(preferred);
    return web ? this.#ask(web.port, 'POST', path, body) : null;
  }

  #web(preferred: number): Member | undefined {
    const open = this.world.webs.filter((web) => web.running);
    return open[preferred % Math.max(1, open.length)];
  }

  async #ask(port: number, method: string, path: string, body?: object): Promise<number | null> {
    const token = await tokenFor(this.userId, { rooms: ['*'] });
    const answer = await within(rest(`http://127.0.0.1:${port}`, method, path, { token, body }), PATIENCE_MS);
    return answer?.status ?? null;
  }
}

function sourceOf(n: number): (typeof SOURCES)[number] {
  return SOURCES[n % SOURCES.length] ?? SOURCES[0];
}
