import { onceSoon } from './observable.ts';
import type { createPeople } from './people.ts';
import type { PresenceError } from './presence-error.ts';
import type { Told } from './presence-state.ts';
import type { Request } from './wire.ts';

/** The server takes no more in one message. */
const MOST_IDS_IN_LIST = 1000;
/** Where the server could not answer and did not say when to ask again. */
const ASK_AGAIN_MS = 2000;

/** Refusals that a list may not get again: those that the server's table says so of, and a server that did not answer. By the beginnings of their names. */
const MAY_GO_WELL_LATER = /^(UNAV|RATE|TIMEO)/;

/** One request under way, with the events that have overtaken its answer. */
type Question = Told[];

interface Server {
  connected(): boolean;
  request: Request;
}

/**
 * Keeps what the server sends equal to what the application wants to watch. Wishes are gathered for a tick: twenty
 * components that appear together and share a user make one request, and one that comes and goes makes none.
 *
 * On one connection an id is in one of three places: nowhere, `asked` (the snapshot is on its way; events that overtake
 * it are held back), or `watched`.
 */
export function createWatching(
  people: ReturnType<typeof createPeople>,
  server: Server,
  report: (e: PresenceError) => void,
) {
  const watched = new Set<string>();
  const asked = new Map<string, Question>();
  /** Too many: not asked for again before somebody else is let go. */
  const refused = new Set<string>();
  /** Not watched here, and perhaps by the server, which refused to let go or did not answer: it may count them. */
  const owed = new Set<string>();
  /** Messages under way that let go of somebody, and whether there was no room for somebody else meanwhile. */
  let lettingGo = 0;
  let crowded = false;
  let listInHandshake = true;
  let connection = 0;
  let again: ReturnType<typeof setTimeout> | undefined;

  /** Gathers all wishes of this tick. */
  const flushSoon = onceSoon(flush);

  function flush(): void {
    people.dropUnwatched();
    if (!server.connected()) return;
    crowded = false;
    const unwanted = [...watched, ...asked.keys(), ...owed].filter((userId) => !people.wants(userId));
    if (unwanted.length > 0) refused.clear();
    for (const userIds of chunks(unwanted)) void letGo(userIds);
    const missing = people
      .wanted()
      .filter((userId) => !watched.has(userId) && !asked.has(userId) && !refused.has(userId));
    for (const userIds of chunks(missing)) void ask(userIds);
  }

  async function letGo(userIds: string[]): Promise<void> {
    const mine = connection;
    for (const userId of userIds) {
      watched.delete(userId);
      asked.delete(userId);
      owed.delete(userId);
    }
    lettingGo += 1;
    let refusal: PresenceError | undefined;
    await server.request('unwatch', { userIds }).catch((thrown) => {
      refusal = thrown;
    });
    if (mine !== connection) return;
    lettingGo -= 1;
    if (refusal) {
      const isOwed = laterUnlessFinal(refusal);
      // Whoever is wanted again meanwhile is not to be let go.
      if (isOwed) for (const userId of userIds) if (!watched.has(userId) && !asked.has(userId)) owed.add(userId);
    } else if (crowded) flush();
  }

  async function ask(userIds: string[]): Promise<void> {
    const mine = connection;
    const question: Question = [];
    // False for a user who was let go meanwhile, even if asked for anew: the later answer is the one that holds.
    const isOpen = (userId: string) => asked.get(userId) === question;
    for (const userId of userIds) {
      asked.set(userId, question);
      owed.delete(userId);
    }
    try {
      const answer = await server.request('watch', { userIds });
      if (mine !== connection) return;
      people.await((answer.pending ?? []).filter(isOpen));
      people.snapshot(answer.users.filter(({ userId }) => isOpen(userId)));
      for (const userId of userIds.filter(isOpen)) watched.add(userId);
    } catch (thrown) {
      if (mine !== connection) return;
      const isOwed = notWatched(userIds, thrown as PresenceError);
      if (isOwed) for (const userId of userIds.filter(isOpen)) owed.add(userId);
    }
    for (const userId of userIds.filter(isOpen)) asked.delete(userId);
    people.events(question.filter(({ userId }) => people.wants(userId)));
  }

  /** Returns whether the server may watch them all the same, for us or from before. */
  function notWatched(userIds: string[], error: PresenceError): boolean {
    if (laterUnlessFinal(error)) return true;
    // Whoever is on the way out makes room.
    if (error.code === 'TOO_MANY_WATCHED' && (lettingGo > 0 || owed.size > 0)) {
      crowded = true;
      return false;
    }
    for (const userId of userIds) refused.add(userId);
    report(error);
    return false;
  }

  /** Whether it may go well later, when all that is missing is said again. */
  function laterUnlessFinal({ code, retryAfterMs }: PresenceError): boolean {
    if (!MAY_GO_WELL_LATER.test(code)) return false;
    clearTimeout(again);
    again = setTimeout(flush, retryAfterMs ?? ASK_AGAIN_MS);
    return true;
  }

  return {
    flush,
    flushSoon,
    /** What to put into the handshake, as many as fit; the others are asked for afterwards. */
    forHandshake(): string[] {
      const userIds = people.wanted().filter((userId) => !refused.has(userId));
      return listInHandshake ? userIds.slice(0, MOST_IDS_IN_LIST) : [];
    },
    /** This server takes fewer than we handed over. Asked for afterwards they are refused without refusing us. */
    refused(error: PresenceError): void {
      if (error.code !== 'TOO_MANY_WATCHED') return;
      listInHandshake = false;
      report(error);
    },
    connected(userIds: readonly string[], snapshot: readonly Told[]): void {
      connection += 1;
      for (const userId of userIds) watched.add(userId);
      people.await(userIds);
      people.snapshot(snapshot.filter(({ userId }) => people.wants(userId)));
    },
    lost(): void {
      connection += 1;
      watched.clear();
      asked.clear();
      owed.clear();
      lettingGo = 0;
      clearTimeout(again);
    },
    events(changes: readonly Told[]): void {
      const now: Told[] = [];
      for (const told of changes) {
        const question = asked.get(told.userId);
        if (question) question.push(told);
        else if (people.wants(told.userId)) now.push(told);
      }
      people.events(now);
    },
  };
}

function chunks(ids: string[]): string[][] {
  return ids.length > 0 ? [ids.slice(0, MOST_IDS_IN_LIST), ...chunks(ids.slice(MOST_IDS_IN_LIST))] : [];
}
