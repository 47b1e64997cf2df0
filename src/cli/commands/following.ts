import type { FedChange, FedReset } from '../../backend/index.ts';
import type { Presence } from '../../client/index.ts';
import { type Command, type Context, UsageError } from '../command.ts';
import { clockTime, shows } from '../output.ts';

/** `rollcall watch <user…>`: what watchers are told of these users, as it comes. */
export const watch: Command = {
  takes: '<user …>',
  does: 'shows the status of these users and every change of it, until Ctrl-C',
  more: 'It connects by socket as an observer, so it needs socket.io-client: npm install socket.io-client.',
  words: { least: 1, most: 1000 },
  async run(context) {
    const { given, io, say, note, url, serviceToken } = context;
    await serviceToken();
    const { createPresenceClient } = await clientOf();
    const client = createPresenceClient({ url, getToken: serviceToken });
    const failed = new Promise<Error>((resolve) => {
      client.onError((error) => note(`${error.code}: ${error.message}`));
      client.connection.subscribe(() => {
        const state = client.connection.get();
        if (state.status === 'connected') note(`connected to ${url}`);
        if (state.status === 'reconnecting') note('connection lost; trying again');
        if (state.status === 'closed') resolve(new Error(`Rollcall closed the connection: ${state.reason}.`));
      });
    });
    client.watch(given.positionals, (changed) => {
      for (const presence of changed) {
        const at = new Date(client.now()).toISOString();
        say(`${clockTime(at)}  ${line(context, presence)}`, { at, ...presence });
      }
    });
    client.connect();
    const ended = await Promise.race([failed, aborted(io.signal)]);
    client.close();
    if (ended && !io.signal.aborted) throw ended;
  },
};

/** `rollcall tail`: the change feed, as backends read it. */
export const tail: Command = {
  takes: '[--after <cursor>]',
  does: 'shows the change feed from now on, or from a cursor on, until Ctrl-C',
  more: `With --json each line has the cursor to go on from.

  --after <cursor>   nothing after it is left out; where it is too old, a line says that the feed begins anew`,
  options: { after: { type: 'string' } },
  words: { least: 0, most: 0 },
  async run(context) {
    const { given, io, say, note, backend } = context;
    const onRetry = (error: Error) => note(`${error.message} Trying again.`);
    const rollcall = backend();
    // What is wrong with the address or the token is told at once, and not waited out.
    const { nextCursor } = await rollcall.listChanges({ after: given.text('after'), limit: 1 });
    const after = given.text('after') ?? nextCursor;
    for await (const change of rollcall.changes({ after, signal: io.signal, onRetry }))
      say(fed(context, change), change);
  },
};

function fed({ paint }: Context, change: FedChange | FedReset): string {
  if (change.reset) return paint('yellow', 'the feed begins anew: what was before is not known any more');
  const at = paint('dim', clockTime(change.at));
  if (change.type) return `${at}  ${change.roomId} ${change.type}`;
  const status = change.status === 'active' ? paint('green', 'online') : paint('dim', 'offline');
  return `${at}  ${change.userId} is ${status} (${change.cause})`;
}

function line({ paint }: Context, { userId, status, lastSeen, detail }: Presence): string {
  const shown = shows({ ...detail });
  const said =
    status === 'active' ? paint('green', 'online') : `${paint('dim', 'offline')}, last seen ${clockTime(lastSeen)}`;
  return `${userId} is ${said}${shown && `  ${shown}`}`;
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}

/** The client, which needs a package that backends do without. */
async function clientOf(): Promise<typeof import('../../client/index.ts')> {
  try {
    return await import('../../client/index.ts');
  } catch (error) {
    if (!String(error).includes('socket.io-client')) throw error;
    throw new UsageError(
      'To watch, socket.io-client is needed: npm install socket.io-client. "rollcall tail" needs nothing.',
    );
  }
}
