import type { LogFn, Logger } from 'pino';

const QUIET_MS = 10_000;
/** A line in a loop has a handful of kinds; whatever makes up new ones must not fill the memory. */
const MOST_KINDS = 1000;
const ERROR = 50;
const WARN = 40;

interface Repeats {
  count: number;
  /** Writes the last of them, with the count of all. */
  write: () => void;
}

/**
 * For pino's `logMethod`. A warning or an error that holds an error (`err`) or a `kind` is written at once the first time; what
 * comes with the same text and the same kind within ten seconds is counted, and then written once with `count`. So a fault in a
 * loop cannot drown the log. Nothing else is held back, and nothing fatal.
 */
export function repeatsCounted() {
  const quiet = new Map<string, Repeats>();

  const wait = (key: string) => {
    setTimeout(() => {
      const repeats = quiet.get(key);
      if (!repeats || repeats.count === 0) {
        quiet.delete(key);
        return;
      }
      repeats.write();
      repeats.count = 0;
      wait(key);
    }, QUIET_MS).unref();
  };

  return function logMethod(this: Logger, args: Parameters<LogFn>, method: LogFn, level: number): void {
    const key = level === WARN || level === ERROR ? keyOf(args) : null;
    const repeats = key === null ? undefined : quiet.get(key);
    if (!repeats) {
      method.apply(this, args);
      if (key === null || quiet.size >= MOST_KINDS) return;
      quiet.set(key, { count: 0, write: () => {} });
      wait(key);
      return;
    }
    repeats.count++;
    repeats.write = () => {
      const [facts, ...rest] = args as unknown as [object, ...unknown[]];
      const counted =
        facts instanceof Error ? { err: facts, count: repeats.count } : { ...facts, count: repeats.count };
      method.apply(this, [counted, ...rest] as unknown as Parameters<LogFn>);
    };
  };
}

/** What makes two lines the same trouble; null: the line stands for itself. */
function keyOf([facts, text]: readonly unknown[]): string | null {
  if (typeof facts !== 'object' || facts === null) return null;
  const { err, kind, queue }: { err?: unknown; kind?: unknown; queue?: unknown } =
    facts instanceof Error ? { err: facts } : facts;
  if (err === undefined && kind === undefined) return null;
  return JSON.stringify([text, kind, queue, err === undefined ? null : kindOfError(err)]);
}

/** By its code and how its text begins, numbers aside: each of them would make a kind of its own. */
function kindOfError(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return `${error.name} ${code} ${error.message.slice(0, 40).replaceAll(/\d+/g, '0')}`;
}
