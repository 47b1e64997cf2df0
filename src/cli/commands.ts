import type { Command } from './command.ts';
import { kick, token } from './commands/acts.ts';
import { dev } from './commands/dev.ts';
import { tail, watch } from './commands/following.ts';
import { rooms } from './commands/rooms.ts';
import { who, why } from './commands/statuses.ts';

/** Every command by its name, in the order of the help. */
export const COMMANDS: Record<string, Command> = { dev, token, who, why, watch, tail, rooms, kick };
