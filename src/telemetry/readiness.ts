export const PARTS = ['redis', 'postgres', 'queue'] as const;
export type Part = (typeof PARTS)[number];

/** A sentence for each part that cannot serve: what is the matter and what to do, without addresses and names. */
export type Reasons = Partial<Record<Part, string>>;

/** Whoever balances load asks every few seconds and does not wait for long. */
const PATIENCE_MS = 1000;
const SILENT: Record<Part, string> = {
  redis: 'Redis is not answering in time.',
  postgres: 'PostgreSQL is not answering in time.',
  queue: 'The queues are not answering in time: Redis is slow, or just coming back.',
};

/** What serves and what does not, and why. */
export class Readiness {
  readonly #ask: Record<Part, () => Promise<string | null>>;

  /** Each of `asked` says why its part cannot serve, null where it can; what it fails with counts as no answer. */
  constructor(asked: Record<Part, () => Promise<string | null>>) {
    this.#ask = {
      redis: inTime('redis', asked.redis),
      postgres: inTime('postgres', asked.postgres),
      queue: inTime('queue', asked.queue),
    };
  }

  /** Why each of the stores cannot be used, in a sentence; those that can are missing. Answers soon, whatever is away. */
  async reasons(): Promise<Reasons> {
    const answers = await Promise.all(PARTS.map(async (part) => [part, await this.#ask[part]()] as const));
    return Object.fromEntries(answers.filter(([, reason]) => reason !== null));
  }
}

/** One question at a time, however many want to know: a store that hangs must not collect a queue of questions. */
function inTime(part: Part, ask: () => Promise<string | null>): () => Promise<string | null> {
  let asking: Promise<string | null> | undefined;
  return async () => {
    asking ??= ask()
      .catch(() => SILENT[part])
      .finally(() => {
        asking = undefined;
      });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS, SILENT[part]);
    });
    try {
      return await Promise.race([asking, late]);
    } finally {
      clearTimeout(timer);
    }
  };
}
