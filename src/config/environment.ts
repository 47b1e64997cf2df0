/**
 * Settings as text, read with care: an empty value counts as unset, a wrong one is noted in a sentence and replaced by
 * its default so that reading goes on and every problem can be told at once. Values of secrets and addresses (which may
 * hold passwords) never get into a problem's text.
 */
export class Environment {
  readonly problems: string[] = [];
  readonly #env: NodeJS.ProcessEnv;
  readonly #known = new Set<string>();
  readonly #wrong = new Set<string>();

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  /** Notes what is wrong with a setting: a sentence that goes on after its name. */
  problem(name: string, sentence: string): void {
    this.#wrong.add(name);
    this.problems.push(`${name} ${sentence}`);
  }

  /** Whether none of these settings is wrong by itself, so that it makes sense to compare them. */
  sound(...names: string[]): boolean {
    return names.every((name) => !this.#wrong.has(name));
  }

  /** A setting as it was written, for what may begin or end with a space; undefined where it is empty. */
  secret(name: string): string | undefined {
    this.#known.add(name);
    const value = this.#env[name];
    return value === undefined || value.trim() === '' ? undefined : value;
  }

  /** A setting without the spaces around it; undefined where it is empty. */
  text(name: string): string | undefined {
    return this.secret(name)?.trim();
  }

  /** A setting's entries between commas, without empty ones. */
  list(name: string): string[] {
    const entries = this.text(name)?.split(',') ?? [];
    return entries.map((entry) => entry.trim()).filter((entry) => entry !== '');
  }

  /** A whole number from `min` to `max`. */
  integer(name: string, fallback: number, { min, max }: { min: number; max: number }): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    this.problem(name, `must be a whole number from ${min} to ${max}, got ${quote(value)}`);
    return fallback;
  }

  /** A duration written in seconds (fractions allowed), as whole milliseconds; at least 1 unless it may be `zero`. */
  seconds(name: string, fallbackMs: number, { zero }: { zero: boolean }): number {
    const value = this.text(name);
    if (value === undefined) return fallbackMs;
    const ms = /^\d+(\.\d+)?$/.test(value) ? Math.round(Number(value) * 1000) : Number.NaN;
    if (ms >= (zero ? 0 : 1) && ms <= LONGEST_TIMER_MS) return ms;
    const least = zero ? 'from 0 to' : 'greater than 0 and at most';
    this.problem(name, `must be a number of seconds, ${least} ${LONGEST_TIMER_MS / 1000}, got ${quote(value)}`);
    return fallbackMs;
  }

  /** A setting that is `true` or `false`. */
  flag(name: string, fallback: boolean): boolean {
    return this.choice(name, ['true', 'false'], fallback ? 'true' : 'false') === 'true';
  }

  /** One of a few words, in small letters however it was written. */
  choice<const T extends string>(name: string, options: readonly T[], fallback: NoInfer<T>): T {
    const value = this.text(name)?.toLowerCase();
    if (value === undefined) return fallback;
    const found = options.find((option) => option === value);
    if (found !== undefined) return found;
    this.problem(name, `must be ${options.join(' or ')}, got ${quote(value)}`);
    return fallback;
  }

  /** An address with one of these schemes (`redis:`), the text itself; undefined where it is not set or wrong. */
  url(name: string, schemes: readonly string[]): string | undefined {
    const value = this.text(name);
    if (value === undefined) return value;
    if (isUrl(value, schemes)) {
      if (isDecodable(value)) return value;
      this.problem(name, BARE_PERCENT);
      return undefined;
    }
    this.problem(name, `must be an address that begins with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}`);
    return undefined;
  }

  /**
   * Notes names that look like a slip of the pen (PRESENCE_TTL_SECOND), which would otherwise be silently without
   * effect. Only where the right name is not set and the first word agrees, since the environment is full of strangers.
   */
  findMisspelt(): void {
    const unset = [...this.#known].filter((name) => this.#env[name] === undefined && name.includes('_'));
    for (const given of Object.keys(this.#env)) {
      if (this.#known.has(given)) continue;
      const meant = unset.find((name) => given.startsWith(firstWord(name)) && distance(given, name) <= 2);
      if (meant !== undefined) this.problem(given, `is not a setting; did you mean ${meant}?`);
    }
  }
}

/** setTimeout cannot wait longer: about 24.8 days. */
const LONGEST_TIMER_MS = 2_147_483_000;

/** Whether a text is an address with one of these schemes (`redis:`) and a host. */
export function isUrl(text: string, schemes: readonly string[]): boolean {
  const url = URL.parse(text);
  return url !== null && schemes.includes(url.protocol) && url.hostname !== '';
}

/** What a problem says where `isDecodable` is false. */
export const BARE_PERCENT = 'has a % in its user or password that is not part of an encoding: write it as %25';

/** Whether the name and the password in an address, and of a store its path, can be read as they were meant. */
export function isDecodable(text: string): boolean {
  const url = URL.parse(text);
  if (url === null) return false;
  try {
    const path = /^https?:$/.test(url.protocol) ? '' : url.pathname;
    for (const part of [url.username, url.password, path]) decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

/** A value for a problem's sentence, in quotation marks and cut where it is long. */
export function quote(value: string): string {
  return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
}

function firstWord(name: string): string {
  return name.slice(0, name.indexOf('_') + 1);
}

/** Levenshtein's: how many letters must be added, dropped or changed. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (const [row, letter] of [...a].entries()) {
    const current = [row + 1];
    for (const [column, other] of [...b].entries()) {
      const changed = (previous[column] ?? 0) + (letter === other ? 0 : 1);
      current.push(Math.min(changed, (previous[column + 1] ?? 0) + 1, (current[column] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
