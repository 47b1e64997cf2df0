import { RollcallError } from '../../errors.ts';
import { networkOf } from '../../network.ts';
import { SlowLane } from '../../telemetry/slow-lane.ts';
import type { Limits } from '../limits/limits.ts';
import type { Authenticator, Caller } from './auth.ts';

/** What is left for an address that has shown too many bad tokens: a hundred checks a second, five seconds to wait at most. */
const PACE = { everyMs: 10, most: 500 };

/**
 * Checks tokens, at every route and over every socket, so that bad ones are counted by address wherever they are tried.
 * The authenticator is known to nobody else.
 */
export class Tokens {
  readonly #auth: Authenticator;
  readonly #limits: Limits;
  readonly #lane = new SlowLane(PACE);

  constructor(auth: Authenticator, limits: Limits) {
    this.#auth = auth;
    this.#limits = limits;
  }

  /** The error to throw where no token came at all; that counts for nothing. */
  missing(): RollcallError {
    return this.#auth.missing();
  }

  /**
   * Finds who speaks with this token, from this address; with `leftMs` it has to be good for so long yet. Throws a
   * RollcallError, as the authenticator does, or RATE_LIMITED where too many tokens from there were no good.
   */
  async check(token: string, address: string, leftMs = 0): Promise<Caller> {
    const refusal = this.#limits.beyondBadTokens(address);
    if (refusal !== null) throw refusal;
    try {
      return await this.#auth.verify(token, leftMs);
    } catch (error) {
      if (isBad(error)) this.#limits.badToken(address);
      throw error;
    }
  }

  /**
   * Finds who speaks with this token, for those who must get through whatever their neighbours behind the same address
   * do: where `check` would refuse, a good token still passes, at once if it was seen lately and else when it is its
   * turn. Throws a RollcallError; RATE_LIMITED: the token was no good, or too many wait.
   */
  async checkPatiently(token: string, address: string, leftMs = 0): Promise<Caller> {
    const refusal = this.#limits.beyondBadTokens(address);
    if (refusal === null) return await this.check(token, address, leftMs);
    const known = this.#auth.recall(token, leftMs);
    if (known !== null) return known;
    const turn = this.#lane.turn(networkOf(address));
    if (turn === null) throw refusal;
    await turn;
    try {
      return await this.#auth.verify(token, leftMs);
    } catch (error) {
      throw isBad(error) ? refusal : error;
    }
  }
}

/** Expired ones don't count: whole offices wake up with those. */
function isBad(error: unknown): boolean {
  return error instanceof RollcallError && (error.code === 'UNAUTHENTICATED' || error.code === 'INVALID_USER_ID');
}
