import { type Access, accessOf, type Openness, type Visibility } from '../../../src/presence/visibility.ts';
import { Register } from './register.ts';
import type { Span } from './spans.ts';
import type { Rows } from './stores.ts';

/** `visibility lastSeenVisibility`. */
export type Setting = `${Visibility} ${Visibility}`;

export const OPEN_TO_ALL: Setting = 'everyone everyone';
const VISIBILITIES = ['everyone', 'friends', 'nobody'] as const;
const SETTINGS = VISIBILITIES.flatMap((one) => VISIBILITIES.map((other): Setting => `${one} ${other}`));
const EITHER = [true, false] as const;

/** A stretch of time in which it is certain that somebody may not see. */
export type Closed = Span;

/** Who allows what to whom, and who is a member of the one conversation there is, as far as answers and PostgreSQL say. */
export class PrivacyRecord {
  readonly #begun = Date.now();
  readonly #ids: readonly string[];
  readonly #settings = new Map<string, Register<Setting>>();
  readonly #blocks = new Map<string, Register<boolean>>();
  readonly #friends = new Map<string, Register<boolean>>();
  readonly #members = new Map<string, Register<boolean>>();

  constructor(ids: readonly string[]) {
    this.#ids = ids;
  }

  settings(userId: string): Register<Setting> {
    return this.#of(this.#settings, userId, OPEN_TO_ALL);
  }

  /** Whether the one has blocked the other. */
  block(userId: string, other: string): Register<boolean> {
    return this.#of(this.#blocks, `${userId} ${other}`, false);
  }

  friendship(one: string, other: string): Register<boolean> {
    return this.#of(this.#friends, [one, other].sort().join(' '), false);
  }

  member(userId: string): Register<boolean> {
    return this.#of(this.#members, userId, false);
  }

  /** What is between this user and all others. */
  relations(userId: string): Register<boolean>[] {
    const others = this.#ids.filter((other) => other !== userId);
    return others.flatMap((other) => [
      this.block(userId, other),
      this.block(other, userId),
      this.friendship(userId, other),
    ]);
  }

  /** PostgreSQL was put back: until somebody looks there, or says anew, nothing is certain. */
  forget(at: number): void {
    for (const userId of this.#ids) {
      this.settings(userId).know(at, SETTINGS);
      this.member(userId).know(at, EITHER);
      for (const relation of this.relations(userId)) relation.know(at, EITHER);
    }
  }

  /** Takes over what PostgreSQL says, with nothing under way; returns where that is not what was answered. */
  learn(at: number, rows: Rows): string[] {
    const wrong: string[] = [];
    const learn = <T>(what: string, register: Register<T>, value: T) => {
      const possible = register.possible({ from: at, to: at + 1 });
      if (!possible.has(value))
        wrong.push(`${what} is ${value} in PostgreSQL, ${[...possible].join(' or ')} by the answers`);
      register.settle(at);
      register.know(at, [value]);
    };
    for (const [n, userId] of this.#ids.entries()) {
      learn(`what ${userId} allows`, this.settings(userId), rows.settingOf(userId));
      learn(`that ${userId} is a member`, this.member(userId), rows.isMember(userId));
      for (const other of this.#ids) {
        if (other !== userId)
          learn(`that ${userId} blocks ${other}`, this.block(userId, other), rows.blocks(userId, other));
      }
      for (const other of this.#ids.slice(n + 1)) {
        learn(
          `that ${userId} and ${other} are friends`,
          this.friendship(userId, other),
          rows.areFriends(userId, other),
        );
      }
    }
    return wrong;
  }

  /** When the viewer certainly saw neither the user (`status`), or at least not their last seen. */
  closed(viewer: string, userId: string, what: 'status' | 'last seen', until: number): Closed[] {
    const registers = this.#between(viewer, userId);
    const moments = [this.settings(userId), ...registers].flatMap((register) => register.moments);
    return stretches(this.#begun, until, moments, (span) => {
      const accesses = this.#accesses(viewer, userId, span);
      return !accesses.has('all') && (what === 'last seen' || !accesses.has('status'));
    });
  }

  /** When the user was certainly no member. */
  outside(userId: string, until: number): Closed[] {
    const member = this.member(userId);
    return stretches(this.#begun, until, member.moments, (span) => !member.possible(span).has(true));
  }

  #accesses(viewer: string, userId: string, span: Span): Set<Access> {
    const accesses = new Set<Access>();
    const [blocking, blocked, friendship] = this.#between(viewer, userId).map((register) => [
      ...register.possible(span),
    ]);
    for (const setting of this.settings(userId).possible(span)) {
      for (const friend of friendship ?? []) {
        for (const one of blocking ?? []) {
          for (const other of blocked ?? []) {
            accesses.add(accessOf(openness(setting), { self: false, friend, blocked: one || other }));
          }
        }
      }
    }
    return accesses;
  }

  #between(viewer: string, userId: string): Register<boolean>[] {
    return [this.block(viewer, userId), this.block(userId, viewer), this.friendship(viewer, userId)];
  }

  #of<T>(registers: Map<string, Register<T>>, name: string, value: T): Register<T> {
    const register = registers.get(name) ?? new Register(this.#begun, value);
    registers.set(name, register);
    return register;
  }
}

export function openness(setting: Setting): Openness {
  const [visibility, lastSeenVisibility] = setting.split(' ') as [Visibility, Visibility];
  return { visibility, lastSeenVisibility, lastSeenPrecision: 'exact' };
}

/** Where something holds, as long as it holds between one moment and the next. */
function stretches(from: number, until: number, moments: number[], holds: (span: Span) => boolean): Span[] {
  const cuts = [from, ...new Set(moments.filter((at) => at > from && at < until)), until].sort((a, b) => a - b);
  const found: Span[] = [];
  for (const [n, at] of cuts.entries()) {
    const next = cuts[n + 1];
    if (next === undefined || !holds({ from: at, to: next })) continue;
    const last = found.at(-1);
    if (last?.to === at) last.to = next;
    else found.push({ from: at, to: next });
  }
  return found;
}
