import { z } from 'zod';
import type { HistoryAnswer } from './analytics.ts';
import type { DetailSource } from './detail.ts';
import { type SessionView, type StatusAnswer, UserParams } from './http.ts';
import type { RoomCount, UserRoom } from './rooms.ts';
import { Id } from './vocabulary.ts';

/**
 * What the operator's console asks and is answered at `/admin/api`. Its page comes from the same process, so what is said here may
 * change with any version.
 */

/** How many people a search shows at most. */
const MOST_FOUND = 50;
/** A name is longer than an id may be. */
const LONGEST_PREFIX = 200;

export const PeopleQuery = z.object({
  q: z
    .string()
    .trim()
    .min(1)
    .max(LONGEST_PREFIX)
    // PostgreSQL knows no such character.
    .refine((text) => !text.includes('\0') && text.isWellFormed()),
  limit: z.coerce.number().int().min(1).max(MOST_FOUND).default(20),
});

export const PersonRoomParams = UserParams.extend({ roomId: Id });

export interface FoundPersonView {
  userId: string;
  displayName: string | null;
  /** null: not known at this moment. */
  status: 'active' | 'inactive' | null;
  lastSeen: string | null;
}

export interface PeopleAnswer {
  people: FoundPersonView[];
}

/** A part of an answer: what it is, or why that is not known at this moment. */
export type Known<T> = { known: T } | { unknown: string };

/** All about one person at this moment; each part may be missing, where the store that knows it is away. */
export interface PersonAnswer {
  /** Redis's time, by which everything here is meant. */
  at: string;
  userId: string;
  status: Known<
    Pick<StatusAnswer, 'status' | 'lastSeen'> & { [Extra in 'detail' | 'why']: NonNullable<StatusAnswer[Extra]> }
  >;
  profile: Known<{ displayName: string | null; avatarUrl: string | null; createdAt: string }>;
  /** By how much (ms) they are active beyond their deadline; 0: not at all. */
  overdueMs: Known<number>;
  sessions: Known<SessionView[]>;
  rooms: Known<UserRoom[]>;
  sources: Known<DetailSource[]>;
  /** Sentences: what others may know. */
  privacy: Known<string[]>;
  friends: Known<number>;
  blocks: Known<number>;
}

/** The last days and the last comings and goings of a person. */
export interface PersonPastAnswer {
  days: Known<{ date: string; activeSeconds: number }[]>;
  history: Known<HistoryAnswer>;
}

/** What a web process says of itself. */
export interface WebFigures {
  connections: number;
  sessions: number;
  /** 0: all is well; 1: longer batches; 2: newcomers are refused. */
  level: number;
  loopLagMs: number;
  /** Changes that were handed to the sockets here in the last minutes, how many of them took more than a second, and the longest (ms). */
  deliveries: number;
  slowDeliveries: number;
  slowestDeliveryMs: number;
}

/** What a worker says of itself: of the last minutes. */
export interface WorkerFigures {
  comings: number;
  goings: number;
  /** Deadlines that were settled, how many of them too late, and the greatest delay (ms). */
  timeouts: { settled: number; late: number; slowestMs: number };
  /** Told inactive, and within seconds active again on the same device, by why they were told inactive. */
  falselyInactive: { timeout: number; disconnect: number; handover: number };
}

/** What a process says of itself while an operator looks at all of them. */
export type ProcessFigures = {
  /** Of the machine, and of the process there. */
  host: string;
  pid: number;
  upSeconds: number;
  /** How much of the time since it was asked last it computed, from 0 to 1. */
  busy: number;
  /** How long Redis took to answer it last (ms). */
  redisMs: number;
} & ({ kind: 'web'; figures: WebFigures } | { kind: 'worker'; figures: WorkerFigures });

/** Something is wrong: which alert stands for it, what was seen, and what the runbook says first of it. */
export interface Wrong {
  alert: string;
  seen: string;
  advice: string;
}

/** Something that takes long and is under way. */
export interface Progress {
  what: 'index' | 'settling' | 'migrating';
  /** What is done and what comes of it, in a sentence. */
  text: string;
  /** How far it is, from 0 to 1; null: that is not known. */
  part: number | null;
}

export interface FlapView {
  userId: string;
  at: string;
  cause: string;
  backAfterMs: number | null;
}

/** What goes on at this moment. null: it could not be found out. */
export interface LiveAnswer {
  at: string;
  operator: string;
  /** Whether the console may change anything. */
  writable: boolean;
  wrong: Wrong[];
  progress: Progress[];
  active: { now: number; within: { minutes: number; users: number }[] } | null;
  /** Each minute of the last hour, the one under way last: most that were active, and comings and goings. */
  minutes: { at: string; active: number | null; transitions: number }[] | null;
  /** Who is active beyond their deadline. */
  overdue: { count: number; users: { userId: string; lateMs: number }[] } | null;
  processes: ProcessFigures[] | null;
  /** Of how many minutes workers tell. */
  latelyMinutes: number;
  flaps: { since: string; counts: Record<string, number>; newest: FlapView[] } | null;
  /** Who looks at most others today, and how many a user may look at; 0: any number. */
  looks: { most: number; users: { userId: string; looked: number }[] } | null;
  rooms: RoomCount[] | null;
}
