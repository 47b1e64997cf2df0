import { TestClient, tokenFor } from '../../support/client.ts';
import { within } from './device.ts';
import type { World } from './world.ts';

/** Begins anew so often: whoever is in the conversation hears each beginning. */
const EVERY_MS = 600;
const TYPES_FOR_MS = 250;
const BEAT_EVERY = 2;

/** Somebody whom all may see, typing in a conversation again and again, and back by any web when theirs is gone. */
export class Typist {
  readonly userId: string;
  readonly #world: World;
  readonly #conversationId: string;
  #client: TestClient | null = null;
  #timer: NodeJS.Timeout | undefined;
  #busy = false;
  #turn = 0;
  #isIn = false;

  constructor(world: World, userId: string, conversationId: string) {
    this.#world = world;
    this.userId = userId;
    this.#conversationId = conversationId;
  }

  get connected(): boolean {
    return (this.#client?.socket.connected ?? false) && this.#isIn;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#tick(), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#client?.leave();
  }

  async #tick(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    this.#turn++;
    await (this.#client?.socket.connected ? this.#type(this.#client) : this.#come()).catch(() => {});
    this.#busy = false;
  }

  async #come(): Promise<void> {
    this.#isIn = false;
    const open = this.#world.webs.filter((web) => web.running);
    const web = open[this.#turn % Math.max(1, open.length)];
    if (!web) return;
    const client = new TestClient(`http://127.0.0.1:${web.port}`, { token: await tokenFor(this.userId), watch: [] });
    this.#client = client;
    if (!(await within(client.welcomed(), 2500))) client.leave();
  }

  async #type({ socket }: TestClient): Promise<void> {
    const where = { conversationId: this.#conversationId };
    if (this.#turn % BEAT_EVERY === 0) socket.emit('heartbeat', undefined, () => {});
    this.#isIn = (await within(socket.emitWithAck('join_conversation', where), 2500))?.ok ?? false;
    socket.emit('start_indicator', { ...where, kind: 'typing' }, () => {});
    await new Promise((resolve) => setTimeout(resolve, TYPES_FOR_MS));
    socket.emit('stop_indicator', { ...where, kind: 'typing' }, () => {});
  }
}
