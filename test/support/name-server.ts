import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

/** IPv4 addresses by name, or nothing at all for a name and whatever stands below it. */
type Zone = Record<string, readonly string[] | 'silence'>;

/** A small name server (RFC 1035) on the loopback. */
export class NameServer {
  readonly #socket: Socket;
  readonly #zone: Zone;
  #questions = 0;
  #waiting: { count: number; resolve: () => void }[] = [];

  private constructor(zone: Zone) {
    this.#zone = zone;
    this.#socket = createSocket('udp4');
    this.#socket.on('message', (question, { address, port }) => {
      this.#questions++;
      this.#waiting = this.#waiting.filter(({ count, resolve }) => this.#questions < count || void resolve());
      const answer = this.#answer(question);
      if (answer) this.#socket.send(answer, port, address);
    });
  }

  static async start(zone: Zone): Promise<NameServer> {
    const server = new NameServer(zone);
    server.#socket.bind(0, '127.0.0.1');
    await once(server.#socket, 'listening');
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  /** Resolves once it was asked so many questions, those that it does not answer included. */
  asked(count: number): Promise<void> {
    if (this.#questions >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }

  #answer(question: Buffer): Buffer | null {
    const labels: string[] = [];
    let at = 12;
    for (let length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
      labels.push(question.toString('latin1', at + 1, at + 1 + length).toLowerCase());
      at += 1 + length;
    }
    // Behind the name stand its type and class.
    const asked = question.subarray(12, at + 5);
    const isV4 = question.readUInt16BE(at + 1) === 1;
    const name = labels.join('.');
    const known = Object.entries(this.#zone).find(([zone]) => name === zone || name.endsWith(`.${zone}`))?.[1];
    if (known === 'silence') return null;
    const addresses = known && isV4 ? known : [];
    const header = Buffer.alloc(12);
    question.copy(header, 0, 0, 2);
    // An answer, with recursion; 3: there is no such name.
    header.writeUInt16BE(0x8180 | (known ? 0 : 3), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(addresses.length, 6);
    const records = addresses.map((address) =>
      // The name that was asked for, type A, class IN, a minute, four bytes.
      Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)]),
    );
    return Buffer.concat([header, asked, ...records]);
  }
}
