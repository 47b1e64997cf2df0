import { createHash } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import type { RollcallError } from '../../errors.ts';
import { networkOf } from '../../network.ts';
import type { SharedLimits } from '../../redis/limits.ts';
import type { LookApi } from '../../usecases/looks.ts';
import type { Caller } from '../auth/auth.ts';
import { Limit, WINDOW_MS } from './limit.ts';

/**
 * How much is allowed within ten seconds, over all web processes. Far above what people and their devices do: these are
 * against floods, not against use. SECURITY.md has the table for its readers.
 */
export const PER_TEN_SECONDS = {
  /** Tokens that were no good, by address. Expired ones don't count: whole offices wake up with those. */
  badTokensPerIp: 300,
  connectsPerUser: 200,
  requestsPerUser: 1000,
  /** Half of the user's, so that one runaway page leaves something for the other devices. */
  requestsPerToken: 500,
  eventsPerUser: 2000,
  eventsPerConnection: 1000,
  /** Users looked at: each in a list counts, by `watch` and by `POST /users/status/query`. */
  looksPerUser: 50_000,
  indicatorsPerUser: 500,
  /** Appearing inactive and details. `active` is never refused. */
  choicesPerUser: 200,
  /** Changes of settings, blocks and friends: as many as one token may ask for, for each is a transaction in PostgreSQL. */
  relationChangesPerUser: 500,
  /** Of bodies by REST and of what is sent over sockets, together. */
  bytesPerUser: 2 * 1024 * 1024,
  /** Half of the user's, as with requests. */
  bytesPerToken: 1024 * 1024,
  connectsPerService: 2000,
  requestsPerService: 50_000,
  eventsPerService: 50_000,
  looksPerService: 2_000_000,
  bytesPerService: 256 * 1024 * 1024,
} as const;

const SUSPICIOUS_BAD_TOKENS = 20;

type Name = keyof typeof PER_TEN_SECONDS | 'connectsPerIp' | 'requestsPerIp';

/**
 * Every limit of a web process. Each method takes from one, at once (null) or with a promise, and throws, or rejects
 * with, RATE_LIMITED.
 */
export class Limits {
  /** The count that all processes share, for limits of another kind. */
  readonly shared: Pick<SharedLimits, 'reserve'>;
  readonly #limits: Record<Name, Limit>;
  readonly #looks: LookApi;

  constructor(
    config: Pick<Config, 'maxConnectsPerIpPerSecond' | 'maxRequestsPerIpPerSecond'>,
    shared: Pick<SharedLimits, 'reserve'>,
    looks: LookApi = { count: async () => {} },
  ) {
    this.shared = shared;
    this.#looks = looks;
    const seconds = WINDOW_MS / 1000;
    const most: Record<Name, number> = {
      ...PER_TEN_SECONDS,
      connectsPerIp: config.maxConnectsPerIpPerSecond * seconds,
      requestsPerIp: config.maxRequestsPerIpPerSecond * seconds,
    };
    this.#limits = Object.fromEntries(
      Object.entries(most).map(([name, amount]) => [name, new Limit(name, amount, shared)]),
    ) as Record<Name, Limit>;
  }

  /** Takes a request of somebody not known yet. */
  requestFrom(address: string): Promise<void> | null {
    return this.#limits.requestsPerIp.take(networkOf(address));
  }

  /** Takes a handshake of somebody not known yet. */
  connectFrom(address: string): Promise<void> | null {
    return this.#limits.connectsPerIp.take(networkOf(address));
  }

  /** The error with which an address is refused that is beyond what is worth a look; null for all others. */
  flooding(address: string): RollcallError | null {
    const network = networkOf(address);
    const { connectsPerIp, badTokensPerIp } = this.#limits;
    const beyond = [connectsPerIp, badTokensPerIp].find((limit) => limit.isExhausted(network));
    return beyond?.refusalFor(network) ?? null;
  }

  /** Whether so many tokens of an address were no good that its handshakes are worked on one at a time. */
  isSuspicious(address: string): boolean {
    return this.#limits.badTokensPerIp.used(networkOf(address)) >= SUSPICIOUS_BAD_TOKENS;
  }

  /** The error with which an address is refused of whose tokens too many were no good; null for all others. */
  beyondBadTokens(address: string): RollcallError | null {
    const network = networkOf(address);
    const { badTokensPerIp } = this.#limits;
    return badTokensPerIp.isExhausted(network) ? badTokensPerIp.refusalFor(network) : null;
  }

  /** Counts a token that was no good. */
  badToken(address: string): void {
    this.#limits.badTokensPerIp.note(networkOf(address));
  }

  /** Takes a handshake of somebody known by a good token. */
  connect(caller: Caller, token: string): Promise<void> | null {
    return caller.service === null
      ? this.#limits.connectsPerUser.take(caller.userId)
      : this.#limits.connectsPerService.take(tokenId(token));
  }

  /** Takes a request of somebody known by a good token. */
  request(caller: Caller, token: string): Promise<unknown> | null {
    const id = tokenId(token);
    if (caller.service !== null) return this.#limits.requestsPerService.take(id);
    return both(this.#limits.requestsPerToken.take(id), () => this.#limits.requestsPerUser.take(caller.userId));
  }

  /** Takes an event of a socket. */
  event(caller: Caller, connection: string): Promise<unknown> | null {
    if (caller.service !== null) return this.#limits.eventsPerService.take(connection);
    return both(this.#limits.eventsPerConnection.take(connection), () =>
      this.#limits.eventsPerUser.take(caller.userId),
    );
  }

  /** Takes a body of so many bytes. */
  body(caller: Caller, token: string, bytes: number): Promise<unknown> | null {
    const id = tokenId(token);
    if (caller.service !== null) return this.#limits.bytesPerService.take(id, bytes);
    return both(this.#limits.bytesPerToken.take(id, bytes), () => this.sent(caller.userId, bytes));
  }

  /** Takes so many bytes of a user, on whatever way they came. */
  sent(userId: string, bytes: number): Promise<void> | null {
    return this.#limits.bytesPerUser.take(userId, bytes);
  }

  /** Takes a question about a list of users. A service is counted by `apart`: its token, or its connection. */
  look(caller: Caller, apart: string, users: number): Promise<void> | null {
    return caller.service === null
      ? this.#limits.looksPerUser.take(caller.userId, users)
      : this.#limits.looksPerService.take(apart, users);
  }

  /** Counts whom an end user asks for by name, for the day. A service may look at everybody. */
  lookByName(caller: Caller, userIds: readonly string[]): Promise<void> | null {
    return caller.service === null ? this.#looks.count(caller.userId, userIds) : null;
  }

  /** Takes a choice of a user's own. A service is counted by its requests and events alone. */
  choose(caller: Caller): Promise<void> | null {
    return caller.service === null ? this.#limits.choicesPerUser.take(caller.userId) : null;
  }

  /** Takes a change of who may see whom. With a service's token it is a request like others. */
  changeRelations(caller: Caller): Promise<void> | null {
    return caller.service === null ? this.#limits.relationChangesPerUser.take(caller.userId) : null;
  }

  /** Takes an indicator that begins or ends. */
  indicate(caller: Caller): Promise<void> | null {
    return caller.service === null ? this.#limits.indicatorsPerUser.take(caller.userId) : null;
  }
}

/**
 * Names a good token without being one: by what is signed, for some algorithms allow several signatures of the same, and whoever
 * has one can make another.
 */
export function tokenId(token: string): string {
  const signed = token.slice(0, token.lastIndexOf('.'));
  return createHash('sha256').update(signed).digest('base64url').slice(0, 22);
}

/** Where the other refuses at once nobody waits for the one any more, which may still be refused. */
function both(one: Promise<void> | null, take: () => Promise<void> | null): Promise<unknown> | null {
  try {
    const other = take();
    return one && other ? Promise.all([one, other]) : (one ?? other);
  } catch (error) {
    one?.catch(() => {});
    throw error;
  }
}
