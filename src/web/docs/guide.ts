import { ERRORS } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/vocabulary.ts';
import { LONGEST_TOKEN } from '../auth/token-refusals.ts';
import { PER_TEN_SECONDS } from '../limits/limits.ts';

const codes = Object.entries(ERRORS).map(
  ([code, { statusCode, retry, message }]) =>
    `| \`${code}\` | ${statusCode} | ${retry ? 'yes' : 'no'} | ${message.replaceAll('|', '\\|')} |`,
);

/** What a backend developer has to know beside the routes; Markdown, at the head of the description. */
export const GUIDE = `
Who is active, and when they were last seen. Live changes come by Socket.IO at the same address, with
[these events](/docs/events) ([AsyncAPI](/docs/asyncapi.json)).

## Tokens

\`Authorization: Bearer <jwt>\`; over a socket \`auth: { token }\` in the handshake. A token in an address is never read.
The host application signs them with the key that Rollcall was set up with: HS256 with the shared secret, else RS256, ES256 or
EdDSA with its own private key.

- \`sub\` is the user id (1 to 128 characters out of \`A-Z a-z 0-9 . _ - @ | + : ~\`) and \`exp\` the end, in seconds since 1970 and at
  most a year ahead, both required; \`iss\` and \`aud\` are checked where that is set up. Clocks may differ by 5 seconds.
- The three parts are base64url without padding, white space or stray bits, as every library writes them.
- A token has at most ${LONGEST_TOKEN} characters, and a request 16 kB of address and headers; many proxies allow 8 kB.
- A refused one is told what is wrong with it, in \`message\` and in \`WWW-Authenticate\` (RFC 6750).
- Without a \`scope\` of Rollcall's it is an *end user*, who acts as their \`sub\` alone.
- \`scope: "presence:read"\` makes it a *service*, which may read anyone; \`scope: "presence:write"\` may act for anyone, and read.
  Every route says whom it is for.

\`\`\`js
await new SignJWT({ scope: 'presence:write' }).setProtectedHeader({ alg: 'HS256' })
  .setSubject('my-backend').setExpirationTime('10m').sign(new TextEncoder().encode(JWT_SECRET));
\`\`\`

## Conventions

- JSON in and out. A body may have ${LIMITS.bytes / 1024} KiB (that of \`POST /users/status\` ${LIMITS.statusBytes / 1024}) and a list ${LIMITS.idsInList} entries. A 204 has no body.
- A field that is not known is refused in every body, with the name that was probably meant; what is not known in an address is
  passed over. \`null\` for a field that may be left out is as if it were, except in a profile, where it takes away.
- Every time is an ISO 8601 string in UTC with milliseconds; names in \`…Ms\` are numbers.
- Who may not see a user gets the answer for somebody who never came: \`inactive\`, \`lastSeen: null\`. Services see everybody.
- \`version\` grows with every change of a user and never goes back: drop what is not newer than what you have.
- Lists come in pages: ask again with \`cursor\` set to the \`nextCursor\` of the page before, until that is \`null\`.

## Errors

\`{ "statusCode", "code", "error", "message" }\`: go by \`code\`, for messages are for people. Checked in this order: token (401), shape
(400), right (403). Sockets say the same codes, in the \`data\` of a \`connect_error\` and the \`error\` of an acknowledgement.

| code | status | the same again later may help | |
| --- | --- | --- | --- |
${codes.join('\n')}

## Limits

A 429 \`RATE_LIMITED\` and a 503 \`UNAVAILABLE\` carry \`Retry-After\`, in seconds. In ten seconds, over all processes:
${PER_TEN_SECONDS.requestsPerUser} requests of a user (${PER_TEN_SECONDS.requestsPerToken} with one token), ${PER_TEN_SECONDS.requestsPerService}
with the token of a service, ${PER_TEN_SECONDS.looksPerUser} users looked at by a user, ${PER_TEN_SECONDS.choicesPerUser} choices to appear
inactive and details, ${PER_TEN_SECONDS.relationChangesPerUser} changes of settings, blocks and friends, bodies of ${PER_TEN_SECONDS.bytesPerToken / 1024} KiB in all with the token of a user. Saying \`active\` is never refused.

## A backend of one's own view

*Ask*: \`POST /users/status/query\` for up to ${LIMITS.idsInList} users at once. *Follow*: \`GET /changes\` without \`after\` for a cursor of
now, then a snapshot, then \`GET /changes?after=<cursor>&wait=25\` for ever; 410 \`CURSOR_TOO_OLD\` says to begin anew. *Be told*: the same
changes by webhook, below, signed and in order. None of them leaves a change out.
`.trim();
