import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

/** A WebSocket client that reads all and, once it is in, says nothing more: no pong, and no end to a closing handshake. */
export class RudeClient {
  readonly #socket: Socket;
  #heard = '';
  #closed = false;
  #wake: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('data', (data) => {
      this.#heard += data.toString('latin1');
      this.#look();
    });
    socket.on('close', () => {
      this.#closed = true;
      this.#look();
    });
  }

  /** Resolves once the server has let it in; without a token, once it might say who it is. */
  static async connect(url: string, token: string | null): Promise<RudeClient> {
    const { port, host } = new URL(url);
    const socket = connect(Number(port), '127.0.0.1');
    const client = new RudeClient(socket);
    socket.write(
      `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
    );
    await client.hears('"sid"');
    if (token === null) return client;
    client.#say(`40${JSON.stringify({ token, watch: [] })}`);
    await client.hears('42["ready"');
    return client;
  }

  /** Resolves once the text has come. */
  async hears(text: string): Promise<void> {
    await this.#until(() => this.#heard.includes(text));
  }

  /** Resolves once the server has let go of the connection, and not only said goodbye. */
  async isCut(): Promise<void> {
    await this.#until(() => this.#closed);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  #look(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  /** One masked frame of text. */
  #say(text: string): void {
    const [mask, payload] = [randomBytes(4), Buffer.from(text)];
    const length = Buffer.alloc(3);
    length[0] = 0x80 | 126;
    length.writeUInt16BE(payload.length, 1);
    const masked = payload.map((byte, n) => byte ^ (mask[n % 4] ?? 0));
    this.#socket.write(Buffer.concat([Buffer.of(0x81), length, mask, masked]));
  }
}
