import { readConfig } from '../../src/config/config.ts';
import { runProcess, type Service } from '../../src/lifecycle.ts';
import { createLogger } from '../../src/log.ts';

/**
 * A process with three services for test/processes/lifecycle.test.ts. Each argument bends one of them:
 * `second=stop-never` makes the service `second` hang in its stop.
 */
const bent = new Map(process.argv.slice(2).map((argument) => argument.split('=') as [string, string]));

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Keeps the process alive, as an open socket would. */
const forever = () => new Promise<void>(() => setInterval(() => {}, 60_000));

function service(name: string): Service {
  const how = bent.get(name);
  return {
    name,
    stopLimitMs: 300,
    async start() {
      say(`start ${name}`);
      if (how === 'start-fails') throw new Error(`${name} cannot start`);
      if (how === 'start-never') await forever();
      const idle = setInterval(() => {}, 60_000);
      if (how === 'throws') setImmediate(() => rejectUnseen(idle));
    },
    async stop() {
      say(`stop ${name}`);
      if (how === 'stop-never') await forever();
      if (how === 'stop-fails') throw new Error(`${name} cannot stop`);
      if (how === 'stop-slowly') await new Promise((resolve) => setTimeout(resolve, 150));
      say(`stopped ${name}`);
    },
  };
}

function rejectUnseen(idle: NodeJS.Timeout): void {
  if (bent.get('kind') === 'exception') throw new Error(`nobody catches this ${typeof idle}`);
  void Promise.reject(new Error('nobody awaits this'));
}

await runProcess(() => {
  if (bent.has('config')) readConfig({ PORT: 'x' });
  const log = createLogger({ logLevel: 'debug' }, 'worker');
  return { log, services: ['first', 'second', 'third'].map(service), stopLimitMs: 5000 };
});
