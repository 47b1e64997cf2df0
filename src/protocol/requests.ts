import { z } from 'zod';
import { unknownName } from './near-names.ts';

/** What a schema of the fields of a request reads: null for an optional field is as if it were left out. */
type Request<Fields extends z.ZodRawShape> = z.ZodType<z.output<z.ZodObject<Fields>>>;

/**
 * The schema of what a client has done: every body and every event. A name that is not known is refused, for whoever
 * mistypes one would get something else than was asked for. Null for an optional field is as if it were left out, since
 * many languages write out what is not there; only where null is a value of its own (`nullable().optional()`) it stays.
 */
export function request<Fields extends z.ZodRawShape>(fields: Fields): Request<Fields> {
  const known = Object.keys(fields);
  const error: z.core.$ZodErrorMap = (issue) =>
    issue.code === 'unrecognized_keys' ? unknownName(issue.keys[0] ?? '', known) : undefined;
  return readingNull(z.strictObject(takingNull(fields), { error }), fields);
}

/**
 * The shape of what a client says of itself when it comes; what a newer client may add is passed over. A null counts as
 * absent, as in `request`.
 */
export function greeting<Fields extends z.ZodRawShape>(fields: Fields): Request<Fields> {
  return readingNull(z.object(takingNull(fields)), fields);
}

function takingNull(fields: z.ZodRawShape): z.ZodRawShape {
  const named = Object.entries(fields).map(([name, field]) => {
    if (!isAbsentWhenNull(field)) return [name, field];
    const said = field.meta();
    return [name, said === undefined ? field.unwrap().nullish() : field.unwrap().nullish().meta(said)];
  });
  return Object.fromEntries(named);
}

function readingNull<Fields extends z.ZodRawShape>(schema: z.ZodObject, fields: Fields): Request<Fields> {
  const optional = Object.keys(fields).filter((name) => isAbsentWhenNull(fields[name]));
  const read = schema.overwrite((value) => {
    for (const name of optional) if (value[name] === null) delete value[name];
    return value;
  });
  // Of its fields no more than these are left.
  return read as unknown as Request<Fields>;
}

function isAbsentWhenNull(field: unknown): field is z.ZodOptional<z.ZodType> {
  return field instanceof z.ZodOptional && !(field.unwrap() instanceof z.ZodNullable);
}
