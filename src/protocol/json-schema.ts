/**
 * For `override` of `z.toJSONSchema`: a time is told by its format alone. The pattern that zod adds, of all days that there
 * are with their leap years, says nothing more to a reader and is too much for many generators.
 */
export function withoutTimePatterns({ jsonSchema }: { jsonSchema: { format?: string; pattern?: string } }): void {
  if (jsonSchema.format === 'date-time' || jsonSchema.format === 'date') delete jsonSchema.pattern;
}
