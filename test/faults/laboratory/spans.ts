/** A stretch of time (ms since 1970); `to` is Infinity while it lasts. */
export interface Span {
  from: number;
  to: number;
}

/** A sign of life: said at `from`, counted by then or by `to` at the latest. `sure`: it was acknowledged by then. */
export interface Life extends Span {
  sure: boolean;
  web: string;
  line: number;
}

/** A lease was put, and holds for so long (ms) from when it was. */
export interface LeaseLife extends Life {
  ttlMs: number;
  name: string;
  /** The rooms that it is in from then on, and no others; null: nothing was said of them. */
  rooms: readonly string[] | null;
}

/** The session was ended on purpose, or given up by a web that drains. */
export interface End extends Span {
  kind: 'close' | 'logout' | 'drain';
  sure: boolean;
}

/** What was disturbed, and when: the one record that every allowance in the checks is taken from. */
export class Disturbances {
  readonly #spans = new Map<string, Span[]>();

  begin(what: string): void {
    const spans = this.of(what);
    if (spans.at(-1)?.to === Number.POSITIVE_INFINITY) return;
    spans.push({ from: Date.now(), to: Number.POSITIVE_INFINITY });
    this.#spans.set(what, spans);
  }

  end(what: string): void {
    const last = this.of(what).at(-1);
    if (last?.to === Number.POSITIVE_INFINITY) last.to = Date.now();
  }

  of(what: string): Span[] {
    return this.#spans.get(what) ?? [];
  }

  isOn(what: string): boolean {
    return this.of(what).at(-1)?.to === Number.POSITIVE_INFINITY;
  }

  /** All of it since a moment, a line for each, in seconds from it. */
  inWords(since: number): string[] {
    const seconds = (at: number) => (Number.isFinite(at) ? ((at - since) / 1000).toFixed(2) : 'now');
    return [...this.#spans].flatMap(([what, spans]) => {
      const times = spans.filter(({ to }) => to >= since).map(({ from, to }) => `${seconds(from)} to ${seconds(to)}`);
      return times.length > 0 ? [`${what}: ${times.join(', ')}`] : [];
    });
  }

  /** Whether any of these was disturbed at some moment of the span. */
  touched(whats: readonly string[], span: Span): boolean {
    return whats.some((what) => this.of(what).some((one) => overlap(one, span)));
  }

  /** The stretches in which all of these were disturbed at once. */
  together(whats: readonly string[]): Span[] {
    const [first, ...rest] = whats;
    let common = first === undefined ? [] : [...this.of(first)];
    for (const what of rest) {
      common = common.flatMap((one) =>
        this.of(what)
          .filter((other) => overlap(one, other))
          .map((other) => ({ from: Math.max(one.from, other.from), to: Math.min(one.to, other.to) })),
      );
    }
    return common;
  }

  /**
   * Up to when something that was due at `due` may take, where it was promised `within` that, and within as much after
   * any of these spans that stood in its way.
   */
  static pushed(due: number, within: number, spans: readonly Span[]): number {
    let limit = due + within;
    for (let before = 0; before !== limit; ) {
      before = limit;
      for (const span of spans) {
        if (span.from <= limit && span.to + within > limit && span.to >= due) limit = span.to + within;
      }
    }
    return limit;
  }
}

function overlap(a: Span, b: Span): boolean {
  return a.from <= b.to && b.from <= a.to;
}
