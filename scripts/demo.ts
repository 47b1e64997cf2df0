import { parseArgs } from 'node:util';
import type { Child } from './children.ts';
import { type Demo, startDemo } from './demo-processes.ts';
import { demoToken } from './demo-token.ts';
import { stopSignal } from './stop-signals.ts';

/**
 * `npm run demo [-- --people N] [--logs]`: private stores where none are configured, one web and one worker process,
 * the demo page, and simulated people, a dozen unless told otherwise. Everything ends with it.
 */
const { values: options } = parseArgs({
  options: { people: { type: 'string', default: '12' }, logs: { type: 'boolean', default: false } },
});
const people = Number(options.people);
if (!Number.isInteger(people) || people < 0) {
  console.error('--people takes a whole number: npm run demo -- --people 50');
  process.exit(1);
}

const stopping = stopSignal();
const started: (() => Promise<void>)[] = [];
process.exitCode = await demo();
// Whatever a start that was cut short has left is taken away by the guard once this process is gone.
process.exit();

async function demo(): Promise<number> {
  try {
    const outcome = await Promise.race([run(), stopping]);
    if (typeof outcome === 'string') {
      console.log('\nStopping …');
      return 0;
    }
    console.error(`\n${outcome.name} ended unexpectedly. Its last lines:\n${outcome.lastLines().join('\n')}`);
    return 1;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  } finally {
    for (const stop of started.reverse()) await stop().catch((error: unknown) => console.error(String(error)));
  }
}

/** Resolves with the process that ended without being asked to. */
async function run(): Promise<Child> {
  const demo = await startDemo({ people, showLogs: options.logs, onStarted: (stop) => started.push(stop) });
  await welcome(demo);
  return Promise.race(demo.children.map((child) => child.ended.then(() => child)));
}

async function welcome({ url, secret, admin }: Demo): Promise<void> {
  // Two tokens of an hour: one may ask about anybody, the other is Ada herself.
  const [service, ada] = await Promise.all([
    demoToken(secret, 'demo-host', { scope: 'presence:read presence:write' }),
    demoToken(secret, 'ada', { name: 'Ada' }),
  ]);
  console.log(`
Rollcall is running. Open the demo page, sign in, and open a second tab as somebody else:

  ${url}/

Ada says that she is here, and anybody asks whether she is:

  curl -s -X POST ${url}/users/status -H 'authorization: Bearer ${ada}' -H 'content-type: application/json' -d '{"status":"active"}'

  curl -s ${url}/users/ada/status -H 'authorization: Bearer ${service}'

Queues:   ${url}/admin/queues  (user ${admin.user}, password ${admin.password})
Metrics:  ${url}/metrics  (the same)
API:      ${url}/docs

${people > 0 ? `${people} simulated people come and go; ` : 'Nobody else is there; '}npm run demo -- --people 50 has other numbers. Ctrl-C stops everything.`);
}
