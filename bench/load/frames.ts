// WebSocket framing as a client needs it (RFC 6455): its own frames are masked, those of a server are not, and none of
// them is continued in another.
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** A text frame, ready to be written as often as one likes. */
export function textFrame(text: string): Buffer {
  return frame(0x81, Buffer.from(text));
}

/** The closing frame of a client that leaves in order. */
export const CLOSE_FRAME = frame(0x88, Buffer.from([0x03, 0xe8]));

function frame(first: number, payload: Buffer): Buffer {
  const { length } = payload;
  const size =
    length < 126 ? [0x80 | length] : length < 65_536 ? [0xfe, length >> 8, length & 255] : [0xff, ...eight(length)];
  return Buffer.concat([Buffer.from([first, ...size]), MASK, payload.map((byte, n) => byte ^ (MASK[n & 3] ?? 0))]);
}

function eight(length: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(length));
  return bytes;
}

export interface FrameTaker {
  text(bytes: Buffer, from: number, to: number): void;
  /** The server says goodbye, and waits for ours. */
  close(): void;
}

/** Hands the frames in `bytes` to `taker`; returns what is left of one that is not complete, null where nothing is. */
export function readFrames(bytes: Buffer, taker: FrameTaker): Buffer | null {
  let at = 0;
  while (at + 2 <= bytes.length) {
    let length = (bytes[at + 1] ?? 0) & 0x7f;
    let from = at + 2;
    if (length === 126) {
      if (from + 2 > bytes.length) break;
      length = bytes.readUInt16BE(from);
      from += 2;
    } else if (length === 127) {
      if (from + 8 > bytes.length) break;
      length = Number(bytes.readBigUInt64BE(from));
      from += 8;
    }
    if (from + length > bytes.length) break;
    const type = (bytes[at] ?? 0) & 0x0f;
    if (type === 1) taker.text(bytes, from, from + length);
    else if (type === 8) taker.close();
    at = from + length;
  }
  return at < bytes.length ? bytes.subarray(at) : null;
}
