import { type ParseArgsConfig, parseArgs } from 'node:util';
import { RollcallError } from '../backend/index.ts';
import { type Command, type Context, type Given, UsageError } from './command.ts';
import { COMMANDS } from './commands.ts';
import { type Io, painter } from './output.ts';
import { readSettings } from './settings.ts';

const SHARED = {
  help: { type: 'boolean', short: 'h' },
  json: { type: 'boolean' },
  url: { type: 'string' },
} as const satisfies ParseArgsConfig['options'];

/** Runs one line of the command and resolves with its exit code: 0 done, 1 refused or not answered, 2 a wrong line. */
export async function runCli(args: string[], io: Io): Promise<number> {
  const [name = 'help', ...rest] = args;
  const command = COMMANDS[name];
  try {
    if (/^(help|--help|-h)$/.test(name)) {
      const about = rest[0] === undefined ? undefined : COMMANDS[rest[0]];
      io.out(about ? helpOf(rest[0] ?? '', about) : help());
      return 0;
    }
    if (!command)
      throw new UsageError(`There is no command "${name}". There are: ${Object.keys(COMMANDS).join(', ')}.`);
    const { values, positionals } = parsed(command, rest);
    if (values.help === true) {
      io.out(helpOf(name, command));
      return 0;
    }
    const { least, most } = command.words;
    if (positionals.length < least || positionals.length > most) {
      throw new UsageError(`It is: rollcall ${name} ${command.takes}`.trim());
    }
    await command.run(contextOf(io, values, positionals));
    return 0;
  } catch (error) {
    const { code, text } = told(error, io);
    io.err(text);
    if (code === 2) io.err(command ? `rollcall ${name} --help says more.` : 'rollcall help says more.');
    return code;
  }
}

type Values = Record<string, string | boolean | (string | boolean)[] | undefined>;

function parsed(command: Command, args: string[]): { values: Values; positionals: string[] } {
  try {
    return parseArgs({ args, options: { ...command.options, ...SHARED }, allowPositionals: true, strict: true });
  } catch (error) {
    // "Unknown option '--jsn'. To specify a positional argument …"
    throw new UsageError(String(error instanceof Error ? error.message : error).replace(/\. To specify.*/s, '.'));
  }
}

function contextOf(io: Io, values: Values, positionals: string[]): Context {
  const given = givenOf(values, positionals);
  const json = given.flag('json');
  return {
    io,
    given,
    json,
    paint: painter(io),
    ...readSettings(io.env, given.text('url')),
    say: (text, document) => io.out(json ? JSON.stringify(document) : text),
    note: (text) => io.err(text),
  };
}

function givenOf(values: Values, positionals: string[]): Given {
  const texts = (name: string) => [values[name] ?? []].flat().map(String);
  return {
    positionals,
    texts,
    text: (name) => texts(name)[0],
    flag: (name) => values[name] === true,
    count(name, fallback) {
      const [value] = texts(name);
      if (value === undefined) return fallback;
      if (!/^\d{1,9}$/.test(value)) throw new UsageError(`--${name} takes a whole number, and not ${value}`);
      return Number(value);
    },
  };
}

/** What to do about it, as far as it can be known here. */
const ADVICE: Record<string, string> = {
  NOT_CONNECTED: 'Is Rollcall running there? --url or ROLLCALL_URL says where; "rollcall dev" starts one.',
  TIMEOUT: 'Is Rollcall running there? --url or ROLLCALL_URL says where.',
  NOT_ROLLCALL: '--url or ROLLCALL_URL says where Rollcall is.',
  UNAUTHENTICATED: 'JWT_SECRET must be the one that this Rollcall has, or ROLLCALL_TOKEN signed with it.',
  TOKEN_EXPIRED: 'Set ROLLCALL_TOKEN to a fresh one, or JWT_SECRET instead.',
  FORBIDDEN:
    'ROLLCALL_TOKEN must have the scope presence:write (to read alone: presence:read), or set JWT_SECRET instead.',
  USER_NOT_FOUND: 'Nobody ever heard of that id; ids are case-sensitive.',
  NOT_FOUND: 'This Rollcall is older than the command: it does not have that yet.',
  UNAVAILABLE: 'A store is away: GET /readyz says which, and why.',
};

function told(error: unknown, io: Io): { code: number; text: string } {
  const { paint } = { paint: painter(io) };
  if (error instanceof UsageError) return { code: 2, text: error.message };
  if (error instanceof RollcallError) {
    const advice = ADVICE[error.code];
    return { code: 1, text: [`${paint('red', error.code)}: ${error.message}`, advice ?? []].flat().join('\n') };
  }
  return { code: 1, text: error instanceof Error ? error.message : String(error) };
}

function help(): string {
  const width = Math.max(...Object.entries(COMMANDS).map(([name, { takes }]) => `${name} ${takes}`.length));
  const lines = Object.entries(COMMANDS).map(
    ([name, { takes, does }]) => `  ${`${name} ${takes}`.padEnd(width)}  ${does}`,
  );
  return `Rollcall: who is online, and why.

  rollcall <command> [options]

${lines.join('\n')}

Every command takes --json (for programs), --url (else ROLLCALL_URL, else http://127.0.0.1:3000) and --help. Who asks is
known by JWT_SECRET, the server's own, or ROLLCALL_TOKEN, a service token; from the environment or .env. NO_COLOR is heeded.
Exit codes: 0 done, 1 refused or not answered, 2 the line was wrong.`;
}

function helpOf(name: string, { takes, does, more, options = {} }: Command): string {
  const flags = Object.entries(options).map(([flag, { type }]) => `--${flag}${type === 'string' ? ' …' : ''}`);
  const also = ['--json', '--url …', '--help'];
  return [
    `rollcall ${name} ${takes}`.trim(),
    '',
    does,
    ...(more ? ['', more] : []),
    '',
    `Options: ${[...flags, ...also].join(', ')}`,
  ].join('\n');
}
