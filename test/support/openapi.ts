type Json = Record<string, unknown>;

/** The description of the routes with every reference replaced by what it refers to; what stands beside one wins. */
export function dereferenced<Document>(document: Document): Document {
  const { schemas = {} } = ((document as Json).components ?? {}) as { schemas?: Json };
  const resolve = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(resolve);
    if (typeof value !== 'object' || value === null) return value;
    const { $ref, ...rest } = Object.fromEntries(Object.entries(value).map(([key, part]) => [key, resolve(part)]));
    if (typeof $ref !== 'string') return rest;
    const name = $ref.replace('#/components/schemas/', '');
    if (!(name in schemas)) throw new Error(`${$ref} is not in the document`);
    return { ...(resolve(schemas[name]) as Json), ...rest };
  };
  return resolve(document) as Document;
}
