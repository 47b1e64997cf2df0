import type { Detail, IndicatorKind } from '../client/index.ts';
import type { Told } from '../client/presence-state.ts';
import { DETAIL_FIELDS } from '../presence/change.ts';
import type { createFakeClock } from './fake-clock.ts';
import type { FakeUser } from './fake-user.ts';

/** An indicator that is not said again ends by itself, as on the server. */
const INDICATOR_MS = 6000;

interface Person {
  status: 'active' | 'inactive';
  lastSeen: string | null;
  detail: Detail;
  idle: { idle: true; idleSince?: string } | undefined;
  version: number;
  /** Appears inactive, whatever `status` says: since then, with the last seen of that moment. */
  hidden: { lastSeen: string | null } | undefined;
}

interface FakeIndicator {
  conversationId: string;
  userId: string;
  kind: IndicatorKind;
  callOff(): void;
}

interface WorldHooks {
  /** Something of a user is another now. */
  changed(userId: string): void;
  indicator(change: { conversationId: string; userId: string; kind: IndicatorKind; active: boolean }): void;
}

/** Everybody there is, as a server would know them, whoever looks; with the time of one clock. */
export function createFakeWorld(clock: ReturnType<typeof createFakeClock>, hooks: WorldHooks) {
  const people = new Map<string, Person>();
  const indicators = new Map<string, FakeIndicator>();
  let version = 0;

  const now = () => new Date(clock.now()).toISOString();

  function personOf(userId: string): Person {
    const known = people.get(userId);
    if (known) return known;
    const made: Person = {
      status: 'inactive',
      lastSeen: null,
      detail: {},
      idle: undefined,
      version: 0,
      hidden: undefined,
    };
    people.set(userId, made);
    return made;
  }

  function change(userId: string, to: Partial<Omit<Person, 'version'>>): void {
    version += 1;
    people.set(userId, { ...personOf(userId), ...to, version });
    hooks.changed(userId);
  }

  /** As somebody watches them. Who never came is inactive. */
  function told(userId: string): Told {
    const { status, lastSeen, detail, idle, version, hidden } = people.get(userId) ?? personOf(userId);
    if (hidden) return { userId, status: 'inactive', lastSeen: hidden.lastSeen, detail, version };
    return { userId, status, lastSeen, detail: { ...detail, ...(status === 'active' && idle) }, version };
  }

  function set(userId: string, { status, lastSeen, detail, idle, idleSince }: FakeUser): void {
    const before = personOf(userId);
    const next = status ?? before.status;
    const moved = next !== before.status ? now() : before.lastSeen;
    change(userId, {
      status: next,
      lastSeen: lastSeen === undefined ? moved : lastSeen === null ? null : new Date(lastSeen).toISOString(),
      ...(detail ? { detail: shown(detail) } : {}),
      ...(idle === undefined ? {} : { idle: idle ? idleFrom(idleSince) : undefined }),
    });
  }

  function idleFrom(since: FakeUser['idleSince']): Person['idle'] {
    return since === null ? { idle: true } : { idle: true, idleSince: new Date(since ?? clock.now()).toISOString() };
  }

  function endIndicator(userId: string, conversationId: string, kind: IndicatorKind): void {
    const key = [kind, conversationId, userId].join('\n');
    const indicator = indicators.get(key);
    if (!indicator) return;
    indicator.callOff();
    indicators.delete(key);
    hooks.indicator({ conversationId, userId, kind, active: false });
  }

  return {
    told,
    set,
    /** Those whom a picture of everybody has. */
    active: () => [...people.keys()].map(told).filter(({ status }) => status === 'active'),
    isHidden: (userId: string) => personOf(userId).hidden !== undefined,
    appear(userId: string, inactive: boolean): void {
      const { hidden, status, lastSeen } = personOf(userId);
      if (inactive === (hidden !== undefined)) return;
      change(userId, { hidden: inactive ? { lastSeen: status === 'active' ? now() : lastSeen } : undefined });
    },
    begin(userId: string, conversationId: string, kind: IndicatorKind): void {
      const key = [kind, conversationId, userId].join('\n');
      indicators.get(key)?.callOff();
      const callOff = clock.after(INDICATOR_MS, () => endIndicator(userId, conversationId, kind));
      indicators.set(key, { conversationId, userId, kind, callOff });
      hooks.indicator({ conversationId, userId, kind, active: true });
    },
    endIndicator,
    /** Who does something in a conversation now, and what. */
    indicatorsIn: (conversationId: string) =>
      [...indicators.values()].filter((one) => one.conversationId === conversationId),
    /** What somebody was typing or recording ends with their going. */
    endIndicatorsOf(userId: string): void {
      for (const one of [...indicators.values()]) {
        if (one.userId === userId) endIndicator(userId, one.conversationId, one.kind);
      }
    },
  };
}

/** Only what says something: an empty text counts as none. */
function shown(detail: Detail): Detail {
  return Object.fromEntries(DETAIL_FIELDS.flatMap((field) => (detail[field] ? [[field, detail[field]]] : [])));
}
