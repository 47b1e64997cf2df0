import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { installNpmPrograms } from '../../scripts/embedded/npm-programs.ts';
import { verifyWebhook } from '../../src/backend/index.ts';
import { postWebhook } from '../../workers/webhook-post.ts';

/** What Standard Webhooks publishes for receivers. */
type Webhook = new (
  secret: string,
  options?: { format: 'raw' },
) => { verify(body: string, headers: IncomingHttpHeaders): unknown };

const STANDARD = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
const OURS = 'a secret of at least thirty-two bytes, as openssl makes it';

test('the library of Standard Webhooks takes a webhook by any of its secrets, and none that was changed', async () => {
  const modules = await installNpmPrograms('test/tools');
  const { Webhook }: { Webhook: Webhook } = createRequire(join(modules, 'x.js'))('standardwebhooks');
  const received: { headers: IncomingHttpHeaders; body: string }[] = [];
  const server = createServer(async (request, response) => {
    received.push({ headers: request.headers, body: await text(request) });
    response.writeHead(204).end();
  }).listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const delivery = { id: '8f3a01bc-1-2-billing', changes: [], nextCursor: 'Y2g' };
    expect(await postWebhook({ url, secrets: [STANDARD, OURS] }, delivery)).toEqual({ kind: 'taken' });
    const [{ headers, body } = { headers: {}, body: '' }] = received;
    for (const receiver of [
      new Webhook(STANDARD),
      new Webhook(OURS, { format: 'raw' }),
      new Webhook(Buffer.from(OURS).toString('base64')),
    ]) {
      expect(receiver.verify(body, headers)).toEqual(delivery);
      expect(() => receiver.verify(`${body} `, headers)).toThrow('No matching signature');
      expect(() => receiver.verify(body, { ...headers, 'webhook-id': 'another' })).toThrow('No matching signature');
    }
    expect(() => new Webhook('c29tZWJvZHkgZWxzZQ==').verify(body, headers)).toThrow('No matching signature');
    for (const secret of [STANDARD, OURS]) expect(await verifyWebhook({ headers, body, secret })).toEqual(delivery);
  } finally {
    server.close();
  }
});
