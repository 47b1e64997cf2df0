import { connect, type Socket } from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');

/** One connection; a request at a time, answers with a length or without a body. */
export class HttpLine {
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  #size = 0;
  #wanted = 0;
  #status = 0;
  #answered: { resolve: (status: number) => void; reject: (error: Error) => void } | null = null;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true });
    this.#socket.on('data', (bytes) => this.#take(bytes));
    this.#socket.on('error', (error) => this.#answered?.reject(error));
    this.#socket.on('close', () => this.#answered?.reject(new Error('The connection was closed.')));
  }

  /** Resolves with the status of the answer, once all of it is here; rejects where the connection is lost. */
  ask(request: string): Promise<number> {
    this.#socket.write(request);
    return new Promise((resolve, reject) => {
      this.#answered = { resolve, reject };
    });
  }

  close(): void {
    this.#answered = null;
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    if (this.#wanted === 0) {
      const whole = Buffer.concat(this.#chunks);
      const end = whole.indexOf(HEAD_END);
      if (end < 0) return;
      const head = whole.toString('latin1', 0, end);
      this.#status = Number(head.slice(9, 12));
      this.#wanted = end + 4 + Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
      this.#chunks = [whole];
    }
    if (this.#size < this.#wanted) return;
    const answered = this.#answered;
    this.#chunks = [];
    this.#size = 0;
    this.#wanted = 0;
    this.#answered = null;
    answered?.resolve(this.#status);
  }
}
