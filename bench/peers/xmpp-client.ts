import { connect, type Socket } from 'node:net';
import type { PeerClient, PeerUser } from './peer.ts';

const DOMAIN = 'localhost';
const STREAM_MANAGEMENT = 'urn:xmpp:sm:3';
const ID = /\bid=['"]([^'"]*)['"]/;
const START_LIMIT_MS = 20_000;

/**
 * Connects to an XMPP server as a user whose presence is `available` from then on, and speaks no more of XMPP (RFC 6120, 6121)
 * than that takes: SASL PLAIN, a bound resource, the roster, presence; `acknowledges`: and stream management (XEP-0198), by which a
 * server asks whether somebody still reads. Resolves when its own presence has come back.
 */
export async function connectXmpp(
  port: number,
  user: PeerUser,
  password: string,
  { acknowledges = false } = {},
): Promise<PeerClient> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  const stream = new Stanzas(socket);
  let left = false;
  socket.on('error', () => {});
  socket.on('close', () => {
    stream.close();
    if (!left) user.lost?.();
  });
  const open = `<stream:stream to='${DOMAIN}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`;
  socket.write(`<?xml version='1.0'?>${open}`);
  await stream.until((text) => text.startsWith('<stream:features'));
  const plain = Buffer.from(`\0${user.name}\0${password}`).toString('base64');
  socket.write(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${plain}</auth>`);
  const answer = await stream.until((text) => text.startsWith('<success') || text.startsWith('<failure'));
  if (answer.startsWith('<failure')) throw new Error(`The server refuses ${user.name}: ${answer}`);
  stream.restart();
  socket.write(open);
  await stream.until((text) => text.startsWith('<stream:features'));
  const ask = (id: string, inner: string, type = 'set') => {
    socket.write(`<iq id='${id}' type='${type}'>${inner}</iq>`);
    return stream.until((text) => text.startsWith('<iq') && ID.exec(text)?.[1] === id);
  };
  await ask('bind', `<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>of-${user.name}</resource></bind>`);
  await ask('session', `<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>`);
  await ask('roster', `<query xmlns='jabber:iq:roster'/>`, 'get');
  if (acknowledges) {
    socket.write(`<enable xmlns='${STREAM_MANAGEMENT}'/>`);
    await stream.until((text) => text.startsWith('<enabled'));
  }
  let received = 0;
  stream.follow((text) => {
    if (/^<(presence|iq|message)[ />]/.test(text)) received += 1;
    else if (text.startsWith('<r ')) socket.write(`<a xmlns='${STREAM_MANAGEMENT}' h='${received}'/>`);
    if (text.startsWith('<presence')) hear(text, user);
    else if (text.includes('urn:xmpp:ping') && text.includes("type='get'"))
      socket.write(`<iq id='${ID.exec(text)?.[1]}' type='result' to='${DOMAIN}'/>`);
  });
  const own = new RegExp(`^<presence[^>]*from=['"]${user.name}@`);
  socket.write('<presence/>');
  await stream.until((text) => own.test(text));
  return {
    beat: () => socket.write(`<iq id='p' type='get' to='${DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>`),
    freeze: () => socket.pause(),
    leave: () => {
      left = true;
      socket.end('</stream:stream>');
    },
  };
}

function hear(text: string, user: PeerUser): void {
  const head = text.slice(0, text.indexOf('>'));
  const name = /\bfrom=['"]([^@'"]*)@/.exec(head)?.[1];
  const type = /\btype=['"]([^'"]*)['"]/.exec(head)?.[1];
  if (name === undefined || name === user.name) return;
  if (type === undefined || type === 'unavailable') user.told?.(name, type === undefined);
}

/** Takes a stream apart into its top-level elements. What servers send here has no comments and no CDATA. */
class Stanzas {
  #text = '';
  #opened = false;
  #all: (text: string) => void = () => {};
  #waiting: {
    fits: (text: string) => boolean;
    resolve: (text: string) => void;
    reject: (error: Error) => void;
  } | null = null;

  constructor(socket: Socket) {
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      this.#text += chunk;
      this.#take();
    });
  }

  follow(all: (text: string) => void): void {
    this.#all = all;
  }

  /** The server begins its stream anew. */
  restart(): void {
    this.#opened = false;
    this.#text = '';
  }

  until(fits: (text: string) => boolean): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('The XMPP server does not answer.')), START_LIMIT_MS);
      this.#waiting = {
        fits,
        reject,
        resolve: (text) => {
          clearTimeout(timer);
          resolve(text);
        },
      };
    });
  }

  close(): void {
    this.#waiting?.reject(new Error('The XMPP server closed the connection.'));
  }

  #take(): void {
    if (!this.#opened) {
      const begun = /<stream:stream[^>]*>/.exec(this.#text);
      if (!begun) return;
      this.#opened = true;
      this.#text = this.#text.slice(begun.index + begun[0].length);
    }
    for (let end = elementEnd(this.#text); end > 0; end = elementEnd(this.#text)) {
      const element = this.#text.slice(0, end).trimStart();
      this.#text = this.#text.slice(end);
      this.#all(element);
      const waiting = this.#waiting;
      if (!waiting?.fits(element)) continue;
      this.#waiting = null;
      waiting.resolve(element);
    }
  }
}

const TAG = /<(\/?)([^\s/>]+)(?:[^>'"]|'[^']*'|"[^"]*")*?(\/?)>/g;

/** Where the first whole element of the text ends; 0 where there is none. */
function elementEnd(text: string): number {
  let depth = 0;
  TAG.lastIndex = 0;
  for (let tag = TAG.exec(text); tag; tag = TAG.exec(text)) {
    if (tag[1]) depth -= 1;
    else if (!tag[3]) depth += 1;
    if (depth <= 0) return TAG.lastIndex;
  }
  return 0;
}
