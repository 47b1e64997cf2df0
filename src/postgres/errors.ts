const SQLSTATE = /^[0-9A-Z]{5}$/;
/**
 * Classes of SQLSTATE that condemn the values sent: bad data, a broken constraint, a limit of the program. All others
 * (no connection, no resources, a restart, a deadlock, a missing table, a wrong password) may be gone the next time.
 */
const DATA_CLASSES = new Set(['22', '23', '54']);

const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'EMFILE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
]);

/** What pg and the pool throw as plain errors without a code. */
const MESSAGES =
  /connection terminated|connection ended|timeout expired|query read timeout|not queryable|unable to acquire a connection|aborted|server does not support ssl/i;

/**
 * Whether PostgreSQL is to blame (away, overloaded, restarting, not migrated) and not the values: the same statement may
 * succeed later, so it is worth keeping. False for values that PostgreSQL rejects and for faults of our own.
 */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === 'KnexTimeoutError') return true;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (NETWORK_CODES.has(code) || /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/.test(code)) return true;
  // EPIPE has five letters too, so the network's codes come first.
  if (SQLSTATE.test(code)) return !DATA_CLASSES.has(code.slice(0, 2)) || isOfPartition(error, code);
  return MESSAGES.test(error.message);
}

/** The row's partition was made just now, or there is none; a broken CHECK has the same code, and its constraint a name. */
function isOfPartition(error: Error, code: string): boolean {
  return code === '23514' && !('constraint' in error && error.constraint);
}

/** The SQLSTATE of an error of pg, or the network's code; null where it has neither. */
export const codeOf = (error: unknown): string | null =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;

const ofPostgres = new WeakSet<Error>();

/** Throws an error of pg as it is, and knows it by `isOfPostgres` from then on: the network's say nothing of where they come from. */
export function noteOrigin(error: unknown): never {
  if (error instanceof Error) ofPostgres.add(error);
  throw error;
}

/** Whether an error came from asking PostgreSQL, or from trying to, and not from another store. */
export const isOfPostgres = (error: unknown) => error instanceof Error && ofPostgres.has(error);

/** Whether PostgreSQL answers, and with a refusal: a wrong password, a missing table, a server that takes no writes. */
export function isRefusal(error: unknown): boolean {
  const code = codeOf(error);
  return code !== null && !NETWORK_CODES.has(code) && SQLSTATE.test(code);
}

/** Whether a lock was not to be had in time. */
export const isBusy = (error: unknown) => codeOf(error) === '55P03';

/** Whether the database user lacks a right that the statement needs. */
export const isUnpermitted = (error: unknown) => codeOf(error) === '42501';

/**
 * Whether the server behind a connection has become of no use: it takes no writes (a standby since a failover, for whose
 * sake the address leads elsewhere by now), or an operator ends what it does.
 */
export function isSpoilt(error: unknown): boolean {
  const code = codeOf(error);
  return code !== null && (code === '25006' || /^57[0-9A-Z]{3}$/.test(code));
}
