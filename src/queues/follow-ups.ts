import type { Logger } from '../log.ts';
import type { Arm, FollowUp } from '../presence/follow-up.ts';
import type { Queues } from './queues.ts';

/**
 * How long (ms) what is asked for gathers where there was something just before. The first after a quiet time goes at
 * once, so that under load many changes are drained by one job, and alone nobody waits. PostgreSQL has to hear within two
 * seconds, and a job that sleeps for most of a minute need not be there at once.
 */
export const GATHER_MS = { deliver: 30, record: 200 };
const LATER_EVERY_MS = 50;
const SOON_EVERY_MS = 10;
/**
 * Jobs of those who are gone disturb nobody: when thousands go at once, others are told first. Of a crowd so large a part
 * each time, so that whoever goes has no job after some ten seconds, at whatever rate they go.
 */
const GONE_EVERY_MS = 100;
const GONE_AT_ONCE = 100;
const GONE_PART = 1 / 100;
/** Where somebody waits for the end, as a process does that stops. */
const HURRIED_AT_ONCE = 1000;
/** A job that is due before this is not kept waiting. */
const LATER_MS = 1000;

/**
 * Puts what the scripts asked for into the queues, in as few jobs and commands as the promises allow. Nobody waits for it:
 * the state is already right, and what does not reach a queue is found by the sweep.
 */
export class FollowUps {
  readonly #deliver: Gathering;
  readonly #record: Gathering;
  readonly #later: Gathering;
  readonly #soon: Gathering;
  readonly #gone: Gathering;
  #stopped = false;

  constructor(queues: Queues, log: Logger) {
    const gather = (everyMs: number, most: Most = () => Number.POSITIVE_INFINITY) =>
      new Gathering(everyMs, most, queues, log);
    this.#deliver = gather(GATHER_MS.deliver);
    this.#record = gather(GATHER_MS.record);
    this.#later = gather(LATER_EVERY_MS);
    this.#soon = gather(SOON_EVERY_MS);
    this.#gone = gather(GONE_EVERY_MS, (waiting) => Math.max(GONE_AT_ONCE, Math.ceil(waiting * GONE_PART)));
  }

  /** Takes what a script asked for, and has it in the queues within moments. */
  add({ wakeDeliver, wakeRecord, arms, ...rest }: FollowUp): void {
    if (this.#stopped) return;
    const nothing = { ...rest, wakeDeliver: false, wakeRecord: false, arms: [] };
    if (wakeDeliver) this.#deliver.add({ ...nothing, wakeDeliver });
    if (wakeRecord) this.#record.add({ ...nothing, wakeRecord });
    for (const arm of arms) this.#gatheringOf(arm).add({ ...nothing, arms: [arm] });
  }

  /** Resolves once everything so far has been tried. */
  async settled(): Promise<void> {
    const all = [this.#deliver, this.#record, this.#later, this.#soon, this.#gone];
    await Promise.all(all.map((gathering) => gathering.settled()));
  }

  /** Resolves once everything so far has been tried. What comes later is left to the sweep. */
  async stop(): Promise<void> {
    const settled = this.settled();
    this.#stopped = true;
    await settled;
  }

  #gatheringOf(arm: Arm): Gathering {
    if (arm.kind === 'remove') return this.#gone;
    return arm.delayMs < LATER_MS ? this.#soon : this.#later;
  }
}

/** How many of those that wait go at once. */
type Most = (waiting: number) => number;

class Gathering {
  readonly #everyMs: number;
  readonly #most: Most;
  readonly #queues: Queues;
  readonly #log: Logger;
  readonly #waiting: { followUp: FollowUp; at: number }[] = [];
  #sentAt = Number.NEGATIVE_INFINITY;
  #sending: Promise<void> | null = null;
  /** Ends the wait for more. */
  #hurry: (() => void) | null = null;
  #hurried = false;

  constructor(everyMs: number, most: Most, queues: Queues, log: Logger) {
    this.#everyMs = everyMs;
    this.#most = most;
    this.#queues = queues;
    this.#log = log;
  }

  add(followUp: FollowUp): void {
    this.#waiting.push({ followUp, at: performance.now() });
    this.#sending ??= this.#send();
  }

  async settled(): Promise<void> {
    this.#hurried = true;
    while (this.#sending) {
      this.#hurry?.();
      await this.#sending;
    }
    this.#hurried = false;
  }

  async #send(): Promise<void> {
    await this.#more();
    const batch = this.#waiting.splice(
      0,
      Math.max(this.#most(this.#waiting.length), this.#hurried ? HURRIED_AT_ONCE : 0),
    );
    this.#sentAt = performance.now();
    try {
      await this.#queues.enqueue(...batch.map(({ followUp, at }) => aged(followUp, this.#sentAt - at)));
    } catch (error) {
      this.#log.debug({ err: error, lost: batch.length }, 'Jobs could not be added; the sweep makes up for them');
    }
    this.#sending = this.#waiting.length > 0 ? this.#send() : null;
  }

  /** Resolves when it is time: with the next turn of the event loop at the earliest. */
  #more(): Promise<void> {
    const waitMs = this.#hurried ? 0 : this.#sentAt + this.#everyMs - performance.now();
    return new Promise((resolve) => {
      const timer = waitMs > 0 ? setTimeout(resolve, waitMs) : setImmediate(resolve);
      this.#hurry = () => {
        clearTimeout(timer as NodeJS.Timeout);
        setImmediate(resolve);
      };
    });
  }
}

function aged(followUp: FollowUp, ms: number): FollowUp {
  if (followUp.arms.length === 0) return followUp;
  const arms = followUp.arms.map(
    (arm): Arm => (arm.kind === 'remove' ? arm : { ...arm, delayMs: Math.max(0, arm.delayMs - ms) }),
  );
  return { ...followUp, arms };
}
