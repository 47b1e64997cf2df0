/**
 * What a user id (and a device, session or conversation id) may look like. Only ASCII, so that an id has one
 * spelling, one length everywhere and sorts the same in every store.
 */
export const ID_PATTERN = /^[A-Za-z0-9._\-@|+:~]{1,128}$/;

/** Whether a value can be the id of a user, a device or a conversation. */
export function isValidId(text: unknown): text is string {
  return typeof text === 'string' && ID_PATTERN.test(text);
}
