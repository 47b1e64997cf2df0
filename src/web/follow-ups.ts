import type { Logger } from '../log.ts';
import type { FollowUp } from '../presence/follow-up.ts';
import type { Queues } from '../queues/queues.ts';

/**
 * Puts what the scripts asked for into the queues, all of a tick in one go. Nobody waits for it: the state is already
 * right, and what does not reach a queue is found by the sweep.
 */
export class FollowUps {
  readonly #queues: Queues;
  readonly #log: Logger;
  #waiting: FollowUp[] = [];
  #sending: Promise<void> | null = null;

  constructor(queues: Queues, log: Logger) {
    this.#queues = queues;
    this.#log = log;
  }

  add(followUp: FollowUp): void {
    if (!followUp.wakeDeliver && !followUp.wakeRecord && followUp.arms.length === 0) return;
    this.#waiting.push(followUp);
    this.#sending ??= this.#send();
  }

  /** Resolves once everything so far has been tried. */
  async settled(): Promise<void> {
    while (this.#sending) await this.#sending;
  }

  async #send(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    const batch = this.#waiting;
    this.#waiting = [];
    try {
      await this.#queues.follow(...batch);
    } catch (error) {
      this.#log.debug({ err: error, lost: batch.length }, 'Jobs could not be added; the sweep makes up for them');
    }
    this.#sending = this.#waiting.length > 0 ? this.#send() : null;
  }
}
