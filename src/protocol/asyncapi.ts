import { z } from 'zod';
import { CLIENT_EVENT_NAMES, type ClientEvent, rowOf } from './client-events.ts';
import { HANDSHAKES, REFUSED, TOLD } from './examples.ts';
import { withoutTimePatterns } from './json-schema.ts';
import { HandshakeAuth, SERVER_EVENTS, type ServerEvent, SocketError } from './socket.ts';
import { LIMITS } from './vocabulary.ts';

const SERVER_SAYS: Record<ServerEvent, string> = {
  ready: 'First after connecting. `users` is the picture that was asked for in the handshake, or of everybody active.',
  user_status_change: 'A user has changed, as far as the client may see. Drop what is not newer than what you have.',
  user_status_changes: 'Several changes at once, to clients that asked for batches, and then instead of single ones.',
  indicator_change: 'Somebody else in a joined conversation begins or ends to type or record.',
  token_expiring:
    'The token ends in 60 s, or in a third of what it had left where that is less: send `authenticate`, or the socket is closed ' +
    'within 5 s after `expiresAt`. Said once for a token.',
  friend_active: 'A friend whom the user asked to hear of has become active and stayed.',
  room_change:
    'What has happened in a room since the last of it; or, with `users`, a whole picture that replaces what was known; or, in a room of very ' +
    'many, its `count` alone. Drop what is not newer than what you have.',
  room_closed:
    'The connection is no longer in the room, nor told of it: put out by a backend, or its token no longer names the room.',
  session_closed: 'Just before the server closes the socket: why, and whether and when to come back.',
};

const schemaOf = (schema: z.ZodType, io: 'input' | 'output') => {
  const { $schema, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any', override: withoutTimePatterns });
  return json;
};

/** An acknowledgement: `{ ok: true, … }`, or the refusal. */
function answerOf(event: ClientEvent): object {
  const accepted = (rowOf(event).answer ?? z.object({})).extend({ ok: z.literal(true) });
  return schemaOf(z.union([accepted, z.object({ ok: z.literal(false), error: SocketError })]), 'output');
}

const reference = (name: string) => ({ $ref: `#/channels/socket/messages/${name}` });

/** The Socket.IO protocol as an AsyncAPI 3 document, made from the schemas that check it. Seen from the server. */
export function describeSockets(): object {
  const messages: Record<string, object> = {};
  const operations: Record<string, object> = {};
  const channel = { $ref: '#/channels/socket' };
  for (const event of CLIENT_EVENT_NAMES) {
    const { request, says, example } = rowOf(event);
    const [said, answered] = example;
    messages[event] = {
      name: event,
      summary: says,
      payload: schemaOf(request, 'input'),
      examples: [{ name: event, payload: said }],
    };
    messages[`${event}_ack`] = {
      name: `${event}_ack`,
      summary: `The acknowledgement of \`${event}\``,
      payload: answerOf(event),
      examples: [
        { name: 'done', payload: { ok: true, ...answered } },
        {
          name: 'refused',
          payload: { ok: false, error: event === 'heartbeat' ? REFUSED.HEARTBEAT_TOO_SOON : REFUSED.INVALID_REQUEST },
        },
      ],
    };
    operations[event] = {
      action: 'receive',
      channel,
      summary: says,
      messages: [reference(event)],
      reply: { channel, messages: [reference(`${event}_ack`)] },
    };
  }
  for (const event of Object.keys(SERVER_EVENTS) as ServerEvent[]) {
    messages[event] = {
      name: event,
      summary: SERVER_SAYS[event],
      payload: schemaOf(SERVER_EVENTS[event], 'output'),
      examples: [{ name: event, payload: TOLD[event] }],
    };
    operations[event] = { action: 'send', channel, summary: SERVER_SAYS[event], messages: [reference(event)] };
  }
  const refused = {
    name: 'connect_error',
    summary: 'A refused handshake; this is the `data` of the error.',
    payload: schemaOf(SocketError, 'output'),
    examples: [REFUSED.TOKEN_EXPIRED, REFUSED.RATE_LIMITED].map((payload) => ({ name: payload.code, payload })),
  };
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Rollcall sockets',
      version: '1',
      description:
        'Socket.IO 4, namespace `/`. Every event of the client takes an optional acknowledgement. Tokens, user ids and the codes of ' +
        'errors are those of the [routes](/docs). An event or a field of one that is not known is refused with `INVALID_REQUEST`; ' +
        'what is not known in a handshake is passed over, so that a newer client can come to an older server. `null` for a field that ' +
        'may be left out is as if it were. A client that is told to come back (`session_closed` with `reconnect: true`) waits ' +
        '`afterMs` first. With `heartbeat: "pong"` in the handshake the answers to the server’s pings count as heartbeats; else send ' +
        '`heartbeat` every `heartbeatIntervalMs` of `ready`. An event has at most ' +
        `${LIMITS.eventBytes / 1024} KiB, one with a list of users ${LIMITS.bytes / 1024} KiB.`,
    },
    defaultContentType: 'application/json',
    channels: {
      socket: {
        address: '/',
        description: 'The handshake carries `auth`, whose schema is components.schemas.HandshakeAuth.',
        messages: { ...messages, connect_error: refused },
      },
    },
    operations: {
      ...operations,
      connect_error: { action: 'send', channel, summary: refused.summary, messages: [reference('connect_error')] },
    },
    components: { schemas: { HandshakeAuth: { ...schemaOf(HandshakeAuth, 'input'), examples: HANDSHAKES } } },
  };
}
