import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Pair {
  near: Socket;
  far: Socket;
  /** The network does not know it any more, and tells neither side. */
  forgotten: boolean;
}

/**
 * One network link: a TCP proxy in front of a server, for whatever protocol. Healthy links carry at once. A cut link is
 * half-open: nothing arrives, nobody is told, and what was sent meanwhile arrives once it is mended. A refusing link
 * breaks what is there and lets nobody new through. A forgetful one leaves what is there half-open for good.
 */
export class Link {
  readonly #host: string;
  #target: number;
  readonly #pairs = new Set<Pair>();
  readonly #waiting = new Set<Socket>();
  #server: Server | null = null;
  #port = 0;
  #delayMs = 0;
  #cut = false;
  #refusing = false;
  #underWay = 0;

  /** Has no door of its own: connections are handed to `take`. */
  constructor(port: number, host = '127.0.0.1') {
    this.#target = port;
    this.#host = host;
  }

  /** Listens on a port of its own. */
  static async to(port: number): Promise<Link> {
    const link = new Link(port);
    const server = createServer({ noDelay: true }, (near) => link.take(near));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    link.#server = server;
    link.#port = (server.address() as AddressInfo).port;
    return link;
  }

  /** Where it listens; 0 where it does not. */
  get port(): number {
    return this.#port;
  }

  get isCut(): boolean {
    return this.#cut;
  }

  /** How many pieces are on their way. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Connections from now on lead to another port. */
  lead(port: number): void {
    this.#target = port;
  }

  /** Every piece is this late, in both directions; the order is kept. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  cut(): void {
    this.#cut = true;
    for (const { near, far } of this.#pairs) {
      near.pause();
      far.pause();
    }
  }

  refuse(): void {
    this.#refusing = true;
    this.break();
  }

  /** What is open now carries nothing any more, without a word to either side; new connections work. */
  forget(): void {
    for (const pair of this.#pairs) {
      pair.forgotten = true;
      pair.near.pause();
      pair.far.pause();
    }
  }

  /** Healthy again: no delay, no cut, no refusal. What was held back arrives. */
  mend(): void {
    this.#delayMs = 0;
    this.#refusing = false;
    this.#cut = false;
    for (const pair of [...this.#pairs]) {
      if (pair.forgotten) continue;
      if (pair.near.destroyed || pair.far.destroyed) this.#end(pair);
      else {
        pair.near.resume();
        pair.far.resume();
      }
    }
    for (const near of this.#waiting) this.#join(near);
  }

  /** Both sides see their connections break at once; new ones are let through. What was held back is lost. */
  break(): void {
    for (const pair of [...this.#pairs]) this.#end(pair);
    for (const near of this.#waiting) near.destroy();
  }

  async close(): Promise<void> {
    this.break();
    const server = this.#server;
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  /** `first`: what was read of it already. */
  take(near: Socket, first?: Buffer): void {
    near.on('error', () => near.destroy());
    if (this.#refusing) {
      near.destroy();
      return;
    }
    near.pause();
    if (first) near.unshift(first);
    this.#waiting.add(near);
    near.once('close', () => this.#waiting.delete(near));
    if (!this.#cut) this.#join(near);
  }

  #join(near: Socket): void {
    this.#waiting.delete(near);
    const far = connect({ port: this.#target, host: this.#host, noDelay: true });
    const pair: Pair = { near, far, forgotten: false };
    this.#pairs.add(pair);
    this.#forward(pair, near, far);
    this.#forward(pair, far, near);
    near.resume();
  }

  #forward(pair: Pair, from: Socket, to: Socket): void {
    /** What is on its way, in order: nothing overtakes what was sent before, however late the timers of a busy machine. */
    const underWay: { chunk: Buffer; at: number }[] = [];
    let arrives = 0;
    const carry = () => {
      while (underWay[0] && underWay[0].at <= performance.now()) {
        const chunk = underWay.shift()?.chunk;
        this.#underWay--;
        // Who does not read holds up who sends, as without a link.
        if (chunk && !to.destroyed && !to.write(chunk)) from.pause();
      }
      if (underWay[0]) setTimeout(carry, Math.max(0, underWay[0].at - performance.now()));
    };
    from.on('data', (chunk) => {
      arrives = Math.max(performance.now() + this.#delayMs, arrives);
      underWay.push({ chunk, at: arrives });
      this.#underWay++;
      if (underWay.length === 1) carry();
    });
    to.on('drain', () => {
      if (!this.#cut && !pair.forgotten) from.resume();
    });
    from.on('error', () => from.destroy());
    from.on('close', () => {
      // Over a cut link the other side does not learn of it. Once it is mended, it does.
      if (this.#cut || pair.forgotten) return;
      const end = () => (underWay.length > 0 ? setTimeout(end, 10) : this.#end(pair));
      end();
    });
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair);
    pair.near.destroy();
    pair.far.destroy();
  }
}
