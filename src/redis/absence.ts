/** Why Redis is as good as away. */
export interface Absence {
  /** One of few words, for metrics and for telling one trouble from another: `OOM`, `unreachable`. */
  kind: string;
  /** It answers, and will not do what is asked: asking again at once is of no use. */
  refuses: boolean;
  /** A sentence for operators that says what to do; it holds no address, name or secret. */
  reason: string;
}

/** What is in the way of hearing from the Sentinels where the primary is; before all else, since it quotes their refusals. */
const SENTINELS: readonly (readonly [kind: string, text: RegExp, reason: string])[] = [
  [
    'sentinel',
    /^All sentinels are unreachable.*\b(NOAUTH|WRONGPASS|invalid password)/,
    'The Sentinels want another password than they are given: see REDIS_SENTINEL_PASSWORD.',
  ],
  [
    'sentinel',
    /^All sentinels are unreachable(?!.*Last error)|^All sentinels are unreachable.*No such master/,
    'The Sentinels know no Redis of the name in REDIS_SENTINEL_MASTER.',
  ],
  [
    'sentinel',
    /^All sentinels are unreachable/,
    'No Sentinel can be reached: does REDIS_SENTINELS name them, and do they speak TLS exactly where REDIS_URL begins with rediss:?',
  ],
];

/** By what the text of an error holds; scripts put their own words around it, and Redis 6.2 the code behind others. */
const REFUSALS: readonly (readonly [kind: string, text: RegExp, reason: string])[] = [
  [
    'OOM',
    /OOM command not allowed/,
    'Redis is full and takes no writes (OOM): raise its maxmemory, or remove from it what is not ours.',
  ],
  [
    'MISCONF',
    /\bMISCONF\b/,
    'Redis cannot write to its disk and takes no writes (MISCONF): its log says why, a full disk as a rule.',
  ],
  [
    'NOREPLICAS',
    /\bNOREPLICAS\b/,
    'Redis has fewer replicas than min-replicas-to-write asks for and takes no writes (NOREPLICAS).',
  ],
  [
    'READONLY',
    /\bREADONLY\b|write against a read only replica/,
    'Redis is a replica and takes no writes (READONLY): name the primary in REDIS_URL, or in REDIS_SENTINELS those who know which it is.',
  ],
  ['MASTERDOWN', /\bMASTERDOWN\b/, 'Redis is a replica that has lost its primary (MASTERDOWN).'],
  [
    'BUSY',
    /\bBUSY Redis is busy|^BUSY\b/,
    'A script that does not end keeps Redis busy (BUSY): SCRIPT KILL ends one that has not written.',
  ],
  ['LOADING', /\bLOADING Redis\b|^LOADING\b/, 'Redis loads its data and answers when it is done (LOADING).'],
  [
    'NOPERM',
    /\bNOPERM\b|can't run this command or subcommand|can't access at least one of the keys/,
    'The user in REDIS_URL may not do what is needed (NOPERM): see the rights in docs/operations.md.',
  ],
  ['NOAUTH', /\bNOAUTH\b/, 'Redis wants a password (NOAUTH): REDIS_URL has none.'],
  [
    'WRONGPASS',
    /\bWRONGPASS\b|^ERR invalid password/,
    'Redis refuses the name or the password in REDIS_URL (WRONGPASS).',
  ],
  [
    'DENIED',
    /^DENIED\b/,
    'Redis is in protected mode and answers its own machine alone (DENIED): give it a password or an address to bind to.',
  ],
  [
    'MAXCLIENTS',
    /max number of clients/,
    'Redis has as many clients as its maxclients allows: raise it, or find out who they are by CLIENT LIST.',
  ],
  [
    'UNKNOWN_COMMAND',
    /\bunknown command\b/i,
    'Redis does not know a command that is needed: it is a Sentinel, which belongs into REDIS_SENTINELS, or the command was renamed, or it is another program.',
  ],
  [
    'CLUSTER',
    /^(MOVED|ASK) \d|SELECT is not allowed in cluster mode/,
    'Redis is a node of a cluster: set REDIS_CLUSTER=true, and no database in REDIS_URL.',
  ],
  [
    'NO_CLUSTER',
    /cluster support disabled/,
    'Redis is no node of a cluster: REDIS_CLUSTER=true does not belong to this REDIS_URL.',
  ],
  ['NO_DATABASE', /DB index is out of range/, 'Redis has no database of the number that REDIS_URL ends with.'],
  ['UNBLOCKED', /^UNBLOCKED\b/, 'Redis has become a replica (UNBLOCKED).'],
  ['EXECABORT', /^EXECABORT\b/, 'Redis refused a part of a transaction (EXECABORT).'],
];

/** By code, then by name and text. */
const UNREACHABLE: readonly (readonly [kind: string, code: RegExp, text: RegExp | null, reason: string])[] = [
  ['timeout', /^ETIMEDOUT$/, /Command timed out|Socket timeout|ETIMEDOUT/i, 'Redis is not answering in time.'],
  [
    'cluster',
    /^CLUSTERDOWN$/,
    /CLUSTERDOWN|Cluster isn't ready|Cluster is ended|Too many Cluster redirections|startup nodes|Failed to refresh slots/i,
    'The Redis Cluster is out of reach, or a part of it.',
  ],
  [
    'tls',
    /^(ERR_TLS|ERR_SSL|EPROTO$|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/,
    null,
    'TLS to Redis fails: see the scheme of REDIS_URL (rediss: or redis:) and REDIS_TLS_REJECT_UNAUTHORIZED.',
  ],
  ['name', /^(ENOTFOUND|EAI_AGAIN)$/, null, 'The host in REDIS_URL has no address.'],
  [
    'unreachable',
    /^(ECONN\w+|EPIPE|EHOSTUNREACH|ENETUNREACH)$/,
    /Stream isn't writeable|Connection is closed|connection close|max retries per request|ECONN|EPIPE|socket closed/i,
    'Redis is not answering: does it run, and does REDIS_URL name it?',
  ],
];

/** Thrown to a caller who is refused before Redis was asked, with the same words as if it had been. */
export class RedisRefused extends Error {
  readonly absence: Absence;

  constructor(absence: Absence) {
    super(`${absence.kind} ${absence.reason}`);
    this.name = 'RedisRefused';
    this.absence = absence;
  }
}

/** Why Redis could not serve, as an error of its client says; null: the error is of another kind, such as a fault of ours. */
export function absenceOf(error: unknown): Absence | null {
  if (!(error instanceof Error)) return null;
  if (error instanceof RedisRefused) return error.absence;
  for (const [kind, text, reason] of SENTINELS) {
    if (text.test(error.message)) return { kind, refuses: false, reason };
  }
  for (const [kind, text, reason] of REFUSALS) {
    if (text.test(error.message)) return { kind, refuses: true, reason };
  }
  const code = 'code' in error ? String(error.code) : '';
  for (const [kind, codes, text, reason] of UNREACHABLE) {
    if (codes.test(code) || text?.test(`${error.name} ${error.message}`)) return { kind, refuses: false, reason };
  }
  return null;
}

/** Whether an error says that Redis could not be reached, did not answer in time, or takes nothing at present. */
export function isRedisAway(error: unknown): boolean {
  return absenceOf(error) !== null;
}
