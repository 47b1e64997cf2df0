import { RollcallError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { Membership } from '../../postgres/conversations.ts';

const AT_ONCE = 500;
const AGAIN_MS = 1000;

export interface MemberChecksDeps {
  log: Logger;
  /** Who has joined which conversation here. */
  joined(): Membership[];
  /** Those of these who are members no more. Throws UNAVAILABLE. */
  removed(joined: readonly Membership[]): Promise<Membership[]>;
  putOut(membership: Membership): void;
}

/**
 * Looks whether those who have joined conversations here are members still, where news of a removal may have been missed:
 * page by page, and again until PostgreSQL has answered for all of them.
 */
export class MemberChecks {
  readonly #deps: MemberChecksDeps;
  #due = false;
  #running: Promise<void> | null = null;
  #wait: { timer: NodeJS.Timeout; over: () => void } | null = null;
  #stopped = false;

  constructor(deps: MemberChecksDeps) {
    this.#deps = deps;
  }

  /** Looks at everybody who has joined by now; one look at a time. */
  start(): void {
    if (this.#stopped) return;
    this.#due = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
  }

  /** Looks no more; resolves once no look is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#wait?.timer);
    this.#wait?.over();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#due && !this.#stopped) {
      this.#due = false;
      try {
        await this.#look();
      } catch (error) {
        this.#due = true;
        if (!(error instanceof RollcallError)) this.#deps.log.error({ err: error }, 'Members could not be checked');
        if (this.#stopped) return;
        await new Promise<void>((over) => {
          this.#wait = { timer: setTimeout(over, AGAIN_MS), over };
        });
      }
    }
  }

  async #look(): Promise<void> {
    const joined = this.#deps.joined();
    for (let from = 0; from < joined.length && !this.#stopped; from += AT_ONCE) {
      for (const membership of await this.#deps.removed(joined.slice(from, from + AT_ONCE))) {
        this.#deps.putOut(membership);
      }
    }
  }
}
