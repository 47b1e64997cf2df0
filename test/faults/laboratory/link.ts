import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Pair {
  near: Socket;
  far: Socket;
}

/**
 * One network link: a TCP proxy in front of a server, for whatever protocol. Healthy links carry at once. A cut link is
 * half-open: nothing arrives, nobody is told, and what was sent meanwhile arrives once it is mended. A refusing link
 * breaks what is there and lets nobody new through.
 */
export class Link {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #waiting = new Set<Socket>();
  #target: number;
  #delayMs = 0;
  #cut = false;
  #refusing = false;
  #underWay = 0;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (near) => this.#accept(near));
  }

  static async to(port: number): Promise<Link> {
    const server = createServer({ noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Link(server, port);
  }

  /** Connections from now on lead to another port. */
  lead(port: number): void {
    this.#target = port;
  }

  /** Every piece is this late, in both directions; the order is kept. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** How many pieces are on their way. */
  get underWay(): number {
    return this.#underWay;
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

  /** Healthy again: no delay, no cut, no refusal. What was held back arrives. */
  mend(): void {
    this.#delayMs = 0;
    this.#refusing = false;
    this.#cut = false;
    for (const pair of [...this.#pairs]) {
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
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(near: Socket): void {
    near.on('error', () => near.destroy());
    if (this.#refusing) {
      near.destroy();
      return;
    }
    near.pause();
    this.#waiting.add(near);
    near.once('close', () => this.#waiting.delete(near));
    if (!this.#cut) this.#join(near);
  }

  #join(near: Socket): void {
    this.#waiting.delete(near);
    const far = connect({ port: this.#target, host: '127.0.0.1', noDelay: true });
    const pair: Pair = { near, far };
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
        if (chunk && !to.destroyed) to.write(chunk);
      }
      if (underWay[0]) setTimeout(carry, Math.max(0, underWay[0].at - performance.now()));
    };
    from.on('data', (chunk) => {
      arrives = Math.max(performance.now() + this.#delayMs, arrives);
      underWay.push({ chunk, at: arrives });
      this.#underWay++;
      if (underWay.length === 1) carry();
    });
    from.on('error', () => from.destroy());
    from.on('close', () => {
      // Over a cut link the other side does not learn of it. Once it is mended, it does.
      if (this.#cut) return;
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
