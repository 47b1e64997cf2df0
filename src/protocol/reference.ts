import { describeSockets } from './asyncapi.ts';

/** A field of a payload, as people read it. */
export interface Field {
  name: string;
  /** As in TypeScript: `"active" | "inactive"`, `string[]`, `{ userId: string }`. */
  type: string;
  optional: boolean;
  says: string;
}

/** What an event carries and what it is for. */
export interface EventReference {
  name: string;
  says: string;
  fields: Field[];
  /** Whether the event may carry nothing at all. */
  mayBeEmpty: boolean;
  /** What the acknowledgement says beside `ok`; null: the event has none. */
  answer: Field[] | null;
  /** A payload, as JSON. */
  example: string;
}

export interface SocketReference {
  title: string;
  says: string;
  handshake: Field[];
  fromClient: EventReference[];
  fromServer: EventReference[];
}

interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  description?: string;
  format?: string;
  maxItems?: number;
  maxLength?: number;
}

interface Message {
  name: string;
  summary: string;
  payload: Schema;
  examples: { payload: unknown }[];
}

interface Document {
  info: { title: string; description: string };
  channels: { socket: { messages: Record<string, Message> } };
  operations: Record<string, { action: 'send' | 'receive'; reply?: object }>;
  components: { schemas: { HandshakeAuth: Schema } };
}

/** The AsyncAPI document of the sockets in the shape of tables: every event of either side with its fields. */
export function socketReference(): SocketReference {
  const document = describeSockets() as Document;
  const { messages } = document.channels.socket;
  const events = (action: 'send' | 'receive') =>
    Object.entries(document.operations)
      .filter(([name, operation]) => operation.action === action && messages[name])
      .map(([name]) => referenceOf(messages, name));
  return {
    title: document.info.title,
    says: document.info.description,
    handshake: fieldsOf(document.components.schemas.HandshakeAuth),
    fromClient: events('receive'),
    fromServer: events('send'),
  };
}

function referenceOf(messages: Record<string, Message>, name: string): EventReference {
  const message = messages[name] as Message;
  const acknowledged = messages[`${name}_ack`];
  const [accepted] = acknowledged?.payload.anyOf ?? [];
  return {
    name,
    says: message.summary,
    fields: fieldsOf(message.payload),
    mayBeEmpty: message.payload.anyOf?.some(({ type }) => type === 'null') ?? false,
    answer: accepted ? fieldsOf(accepted, acknowledged?.payload).filter((field) => field.name !== 'ok') : null,
    example: JSON.stringify(message.examples[0]?.payload),
  };
}

function fieldsOf(schema: Schema, root = schema): Field[] {
  const object = [schema, ...(schema.anyOf ?? [])].map((one) => resolved(one, root)).find((one) => one.properties);
  return Object.entries(object?.properties ?? {}).map(([name, property]) => ({
    name,
    type: withoutNull(typeOf(property, root), !object?.required?.includes(name)),
    optional: !object?.required?.includes(name),
    says: [resolved(property, root).description, limitOf(resolved(property, root))].filter(Boolean).join('; '),
  }));
}

function resolved(schema: Schema, root: Schema): Schema {
  const name = /^#\/\$defs\/(.+)$/.exec(schema.$ref ?? '')?.[1];
  return (name === undefined ? undefined : root.$defs?.[name]) ?? schema;
}

/** A null that only stands for what is left out is not written down. */
const withoutNull = (type: string, optional: boolean) => (optional ? type.replace(/ \| null$/, '') : type);

function typeOf(given: Schema, root: Schema): string {
  const schema = resolved(given, root);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.anyOf) return [...new Set(schema.anyOf.map((one) => typeOf(one, root)))].join(' | ');
  if (schema.type === 'array') return `${grouped(typeOf(schema.items ?? {}, root))}[]`;
  if (schema.properties) {
    const fields = fieldsOf(schema, root).map(({ name, type, optional }) => `${name}${optional ? '?' : ''}: ${type}`);
    return `{ ${fields.join(', ')} }`;
  }
  if (schema.format === 'date-time') return 'time';
  return [schema.type ?? 'any'].flat().join(' | ');
}

const grouped = (type: string) => (/ \| /.test(type) && !type.startsWith('{') ? `(${type})` : type);

function limitOf({ maxItems, maxLength, anyOf }: Schema): string | undefined {
  if (maxItems !== undefined) return `at most ${maxItems}`;
  if (maxLength !== undefined) return `at most ${maxLength} characters`;
  return anyOf?.map(limitOf).find((limit) => limit !== undefined);
}
