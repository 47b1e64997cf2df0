/** HTTP-date in any of its three forms names a day or a month by letters and a time by colons. */
const DATE = /[a-z]{3}.*\d:\d{2}/i;
const SECONDS = /^[+-]?\d+(\.\d*)?$/;

/**
 * How long (ms, never negative) another server wants to be left alone, by its `Retry-After`: seconds, fractions included, or
 * a date. 0 where that has passed already; null where nothing is said, or nothing that can be read. Whoever asks again
 * waits for as long as they would have anyway, or for this where it is longer: a server that is in trouble may well say 0.
 */
export function retryAfterMs(header: string | null | undefined, now = Date.now()): number | null {
  const said = header?.trim() ?? '';
  if (SECONDS.test(said)) return Math.max(0, Math.ceil(Number(said) * 1000));
  if (!DATE.test(said)) return null;
  // asctime's form has no zone, and means GMT like the others.
  const date = Date.parse(/(gmt|utc|z|[+-]\d{2}:?\d{2})$/i.test(said) ? said : `${said} GMT`);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
