import { eventually } from './eventually.ts';

/** An event as it came. */
export interface StreamEvent {
  event: string;
  id: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: what was said is for the test to say
  data: any;
}

/** Reads server-sent events as the standard has it, by `fetch`, for a header is needed. */
export class EventReader {
  readonly events: StreamEvent[] = [];
  /** All that came, word for word. */
  text = '';
  /** As an EventSource would send it when it comes back. */
  lastEventId = '';
  /** How long to wait until then. */
  retry: number | undefined;
  ended = false;
  readonly response: Response;
  readonly #abort: AbortController;

  private constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
    void this.#read().catch(() => {
      this.ended = true;
    });
  }

  static async open(url: string, token: string, watch: string[], lastEventId?: string): Promise<EventReader> {
    const abort = new AbortController();
    const headers = { authorization: `Bearer ${token}`, ...(lastEventId ? { 'last-event-id': lastEventId } : {}) };
    const response = await fetch(`${url}/events?watch=${watch.map(encodeURIComponent).join()}`, {
      headers,
      signal: abort.signal,
    });
    if (!response.ok) throw Object.assign(new Error(`It answered ${response.status}`), await response.json());
    return new EventReader(response, abort);
  }

  /** The statuses that were told of a user, by event. */
  statuses(userId: string): string[] {
    return this.events
      .filter(({ event, data }) => event === 'user_status_change' && data.userId === userId)
      .map(({ data }) => data.status);
  }

  async hears(
    event: string,
    fits: (data: StreamEvent['data']) => boolean = () => true,
    withinMs = 10_000,
  ): Promise<StreamEvent> {
    const found = () => this.events.find((one) => one.event === event && fits(one.data));
    await eventually(found, (one) => one !== undefined, withinMs);
    return found() as StreamEvent;
  }

  async ends(): Promise<void> {
    await eventually(
      () => this.ended,
      (ended) => ended,
    );
  }

  leave(): void {
    this.#abort.abort();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let unread = '';
    for await (const chunk of this.response.body ?? []) {
      const more = decoder.decode(chunk, { stream: true });
      this.text += more;
      const blocks = (unread + more).split('\n\n');
      unread = blocks.pop() ?? '';
      for (const block of blocks) this.#take(block);
    }
    this.ended = true;
  }

  #take(block: string): void {
    const fields = new Map<string, string>();
    for (const line of block.split('\n')) {
      const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
      if (name !== undefined && value !== undefined) fields.set(name, value);
    }
    const [id, data, retry] = [fields.get('id'), fields.get('data'), fields.get('retry')];
    if (id !== undefined) this.lastEventId = id;
    if (retry !== undefined) this.retry = Number(retry);
    if (data !== undefined) this.events.push({ event: fields.get('event') ?? 'message', id, data: JSON.parse(data) });
  }
}
