import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A span as it was sent, with the process that sent it. */
export interface Sent {
  name: string;
  traceId: string;
  spanId: string;
  /** '' for the first of a trace. */
  parentSpanId: string;
  pid: number;
  service: string;
  attributes: Record<string, string | number>;
  links: string[];
  failed: boolean;
}

type Value = { stringValue?: string; intValue?: number | string };
interface Export {
  resourceSpans: {
    resource: { attributes: { key: string; value: Value }[] };
    scopeSpans: { spans: (Omit<Sent, 'attributes' | 'links'> & SpanParts)[] }[];
  }[];
}
interface SpanParts {
  attributes: { key: string; value: Value }[];
  links?: { spanId: string }[];
  status?: { code?: number };
}

/** A collector of traces that speaks OTLP over HTTP and reads JSON. */
export class Collector {
  readonly spans: Sent[] = [];
  /** All that came, headers included. */
  readonly received: Buffer[] = [];
  readonly types = new Set<string>();
  connections = 0;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Collector> {
    const server = createServer();
    const collector = new Collector(server);
    server.on('connection', () => collector.connections++);
    server.on('request', async (request, response) => {
      const body = await buffer(request);
      const type = request.headers['content-type'] ?? '';
      collector.types.add(type);
      collector.received.push(Buffer.from(JSON.stringify([request.url, request.headers])), body);
      if (type === 'application/json') collector.#take(JSON.parse(body.toString()) as Export);
      response.writeHead(200, { 'content-type': type }).end(type === 'application/json' ? '{}' : '');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From a span up to where its trace begins. */
  wayOf(span: Sent): Sent[] {
    const parent = this.spans.find(({ traceId, spanId }) => traceId === span.traceId && spanId === span.parentSpanId);
    return parent ? [span, ...this.wayOf(parent)] : [span];
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #take({ resourceSpans }: Export): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const from = plain(resource.attributes);
      for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
        const { name, traceId, spanId, parentSpanId = '', attributes, links = [], status } = span;
        this.spans.push({
          name,
          traceId,
          spanId,
          parentSpanId,
          pid: Number(from['process.pid']),
          service: String(from['service.name']),
          attributes: plain(attributes),
          links: links.map((link) => link.spanId),
          failed: status?.code === 2,
        });
      }
    }
  }
}

function plain(attributes: { key: string; value: Value }[]): Record<string, string | number> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.stringValue ?? (value.intValue === undefined ? '' : Number(value.intValue)),
    ]),
  );
}
