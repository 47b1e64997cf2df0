import { rest, tokenFor } from '../../support/client.ts';
import { Device, within } from './device.ts';
import type { End, Life, Span } from './spans.ts';
import type { World } from './world.ts';

const PATIENCE_MS = 3000;

/** A choice: `from` asked, `to` answered. `sure`: it was answered with yes; else nobody knows whether it was made. */
export interface Choice extends Span {
  kind: 'hide' | 'show' | 'logout';
  sure: boolean;
  /** Of a hiding that ends by itself. */
  lastsMs: number | null;
}

/** A user with one or more devices, and what they did. */
export class Person {
  readonly userId: string;
  readonly devices: Device[];
  readonly choices: Choice[] = [];
  /** Signs of life by a POST, without a socket. */
  readonly posts: Life[] = [];
  readonly #world: World;

  constructor(world: World, userId: string, devices: number) {
    this.#world = world;
    this.userId = userId;
    this.devices = Array.from({ length: devices }, (_, n) => new Device(world, userId, `${userId}-device${n}`));
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

  async #signOut(devices: readonly Device[], body: object, web: number): Promise<void> {
    const choice: Choice = {
      kind: 'logout',
      from: Date.now(),
      to: Number.POSITIVE_INFINITY,
      sure: false,
      lastsMs: null,
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
      device.signedOut(end);
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
      this.#world.redis.losses.some((loss) => loss.how !== 'emptied' && loss.from <= to && loss.to >= to)
    );
  }

  /** Makes certain what was not: chooses again until it is answered. */
  async makeCertain(): Promise<void> {
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
    const open = this.#world.webs.filter((web) => web.running);
    const web = open[preferred % Math.max(1, open.length)];
    if (!web) return null;
    const token = await tokenFor(this.userId);
    const answer = await within(rest(`http://127.0.0.1:${web.port}`, 'POST', path, { token, body }), PATIENCE_MS);
    return answer?.status ?? null;
  }
}
