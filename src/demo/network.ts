/**
 * A network that can be taken away from one client of this page. The browser has no button for it, so this stands where
 * the client looks for `WebSocket`: below the SDK, which knows nothing of it. Must be imported before socket.io-client.
 *
 * A client is told apart by `?device=` in its server's address.
 */
export interface Network {
  /** Nothing goes through, in either direction, and nobody is told: as when a cable is pulled. */
  setDown(down: boolean): void;
  /** The connection is fine, only heartbeats get lost: as when a program hangs. */
  setMute(mute: boolean): void;
}

interface Wire extends Network {
  down: boolean;
  mute: boolean;
  sockets: Set<BreakableSocket>;
}

const RealWebSocket = globalThis.WebSocket;
const wires = new Map<string, Wire>();

export function networkOf(device: string): Network {
  return wireOf(device);
}

function wireOf(device: string): Wire {
  const known = wires.get(device);
  if (known) return known;
  const wire: Wire = {
    down: false,
    mute: false,
    sockets: new Set(),
    setDown(down) {
      wire.down = down;
      if (!down) for (const socket of wire.sockets) socket.reachable();
    },
    setMute(mute) {
      wire.mute = mute;
    },
  };
  wires.set(device, wire);
  return wire;
}

/** As much of a WebSocket as socket.io-client uses. */
class BreakableSocket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: unknown) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  readonly #wire: Wire;
  readonly #real: WebSocket | undefined;
  /** On its way while nothing goes through: arrives when the cable is back, as TCP would have it. */
  #held: (() => void)[] = [];
  #left = false;

  constructor(address: string, protocols?: string | string[]) {
    this.#wire = wireOf(new URL(address).searchParams.get('device') ?? '');
    if (this.#wire.down) {
      setTimeout(() => {
        this.onerror?.(new Event('error'));
        this.onclose?.({ code: 1006 });
      }, 1000);
      return;
    }
    this.#wire.sockets.add(this);
    const real = new RealWebSocket(address, protocols);
    this.#real = real;
    real.onopen = () => this.#pass(() => this.onopen?.());
    real.onmessage = (event) => this.#pass(() => this.onmessage?.(event));
    real.onerror = (event) => this.#pass(() => this.onerror?.(event));
    real.onclose = (event) => {
      this.#wire.sockets.delete(this);
      this.#pass(() => this.onclose?.(event));
    };
  }

  #pass(deliver: () => void): void {
    if (this.#left) return;
    if (this.#wire.down) this.#held.push(deliver);
    else deliver();
  }

  set binaryType(type: BinaryType) {
    if (this.#real) this.#real.binaryType = type;
  }

  send(data: string): void {
    const isHeartbeat = /^42\d*\["heartbeat"/.test(data);
    if (this.#wire.mute && isHeartbeat) return;
    this.#pass(() => this.#real?.send(data));
  }

  close(): void {
    if (this.#wire.down) this.#giveUp();
    else this.#real?.close();
  }

  /** The other side can't hear a goodbye; here the connection is over all the same. */
  #giveUp(): void {
    this.#left = true;
    this.#held = [];
    setTimeout(() => this.onclose?.({ code: 1006 }));
  }

  /** The cable is back. What was given up meanwhile can be put away. */
  reachable(): void {
    if (this.#left) this.#real?.close();
    for (const deliver of this.#held.splice(0)) deliver();
  }
}

globalThis.WebSocket = BreakableSocket as unknown as typeof WebSocket;
