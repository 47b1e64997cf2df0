const DESCRIPTION = `
Posted to \`WEBHOOK_URL\`, and to each of \`WEBHOOKS\`, by Rollcall. One batch is under way at a time, up to 100 changes, and the next follows once it is taken:
answer 2xx when you have it stored, within ten seconds.

**Verify before you read it.** The signature is \`v1=\` and the hexadecimal HMAC-SHA256, with \`WEBHOOK_SECRET\`, of the timestamp, a
full stop and the body as it came. Refuse timestamps further than five minutes from your own clock. The libraries of Standard Webhooks
(standardwebhooks.com) verify \`webhook-signature\` instead.

\`\`\`js
import { createHmac, timingSafeEqual } from 'node:crypto';

function isFromRollcall(headers, body) {
  const timestamp = headers['rollcall-timestamp'] ?? '';
  const expected = createHmac('sha256', process.env.WEBHOOK_SECRET).update(\`\${timestamp}.\${body}\`).digest();
  const given = Buffer.from(/^v1=([0-9a-f]{64})$/.exec(headers['rollcall-signature'] ?? '')?.[1] ?? '', 'hex');
  const fresh = Math.abs(Date.now() / 1000 - Number(timestamp)) < 300;
  return fresh && given.length === expected.length && timingSafeEqual(given, expected);
}
\`\`\`

A batch may come twice, with the same \`id\`. \`"reset": true\` comes with no changes: take a fresh snapshot
(\`POST /users/status/query\`), then answer 2xx; until then answer 503.
`.trim();

const header = (name: string, description: string, pattern: string, example: string) => ({
  name,
  in: 'header',
  required: true,
  description,
  schema: { type: 'string' as const, pattern },
  example,
});

/** Describes what Rollcall posts to the host application, for the description of the routes; takes the JSON schema of a delivery. */
export function describeWebhook({ examples, ...schema }: { examples?: unknown[] }) {
  const named = ['changes', 'reset'].map((name, n) => [name, { value: examples?.[n] }]);
  return {
    changes: {
      post: {
        operationId: 'receiveChanges',
        security: [],
        summary: 'Who became active and inactive, in order and without a gap',
        description: DESCRIPTION,
        tags: ['changes'],
        parameters: [
          header('Rollcall-Delivery', 'The `id` of the body.', '^[0-9a-f]{8}-', '8f3a01bc-1216-1217'),
          header('Rollcall-Timestamp', 'Seconds since 1970 when it was sent.', '^[0-9]+$', '1769860801'),
          header('Rollcall-Signature', 'See above.', '^v1=[0-9a-f]{64}$', `v1=${'0123456789abcdef'.repeat(4)}`),
          header('webhook-id', 'The `id` of the body.', '^[0-9a-f]{8}-', '8f3a01bc-1216-1217'),
          header('webhook-timestamp', 'Seconds since 1970 when it was sent.', '^[0-9]+$', '1769860801'),
          header(
            'webhook-signature',
            'As Standard Webhooks has it, with each secret.',
            '^v1,',
            `v1,${'AbC/'.repeat(10)}AbA=`,
          ),
        ],
        requestBody: {
          required: true,
          content: { 'application/json': { schema, examples: Object.fromEntries(named) } },
        },
        responses: {
          '2XX': { description: 'Taken; on with the next batch' },
          '410': { description: 'Will never be taken: put aside for an operator, and on with the next' },
          '413': { description: 'Too much at once: sent again in halves' },
          '422': { description: 'As 410' },
          default: {
            description:
              'Sent again, with the same `id`, after a second and then twice as long each time up to a minute, or after `Retry-After` where that is longer; for ever',
          },
        },
      },
    },
  };
}
