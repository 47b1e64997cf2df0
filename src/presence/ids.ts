/**
 * What a user id (and a device, session or conversation id) may look like. Only ASCII, so that an id has one
 * spelling, one length everywhere and sorts the same in every store.
 */
export const ID_PATTERN = /^[A-Za-z0-9._\-@|+:~]{1,128}$/;

/** How a user may be named in the audit: by the id or, of who was erased, by a hash, which `#` tells from every id. */
export const AUDITED_PATTERN = /^(?:[A-Za-z0-9._\-@|+:~]{1,128}|#[A-Za-z0-9_-]{24})$/;

/** Whether a value can be the id of a user, a device or a conversation. */
export function isValidId(text: unknown): text is string {
  return typeof text === 'string' && ID_PATTERN.test(text);
}
