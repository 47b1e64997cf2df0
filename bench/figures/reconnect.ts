import { setTimeout as pause } from 'node:timers/promises';
import { type Figure, say } from '../measure/figure.ts';
import { cpuJob } from '../measure/machine.ts';
import { Tally } from '../measure/rounds.ts';
import { short } from '../measure/statistics.ts';
import { startTutorial, type Tutorial } from '../systems/baselines.ts';
import { type Rollcall, startRollcall } from '../systems/rollcall.ts';
import { startSessions } from '../systems/sessions.ts';
import { arrival, startCrowd } from '../systems/side-by-side.ts';
import { stopAll } from '../systems/system.ts';

const OTHERS = { prefix: 'other-', count: 200 };
const OTHERS_PER_SECOND = 40;
const BACK_LIMIT_MS = 60_000;

/**
 * A web process ends in order and all its clients come to the other one in the same moment, none of them minding when it was told
 * to come. A watcher there watches them, and others who come and go meanwhile.
 */
export const reconnect: Figure = {
  title: '10,000 users reconnect at once',
  seconds: { full: 200, quick: 60 },
  measure: async (scale) => {
    const users = scale.pick(10_000, 500);
    const quietSeconds = scale.pick(8, 4);
    const tally = new Tally();
    const cpuJobMs: number[] = [];
    const turn = async (system: Rollcall | Tutorial, endFirst: () => void) => {
      const sessions = startSessions(system);
      const [crowd, ofUsers, ofOthers] = [startCrowd(), startCrowd(), startCrowd()];
      try {
        const all = { prefix: 'user-', count: users };
        const there = { url: system.urls[1] ?? '' };
        for (const [watcher, watched] of [
          [ofUsers, all],
          [ofOthers, OTHERS],
        ] as const) {
          const one = { prefix: `watcher-of-${watched.prefix}`, count: 1 };
          await watcher.ask('connect', arrival(system, one, { ...there, scope: 'presence:read' }));
          await watcher.ask('watch', one, watched);
        }
        await crowd.ask('connect', arrival(system, all));
        await sessions.ask('comeAndGo', OTHERS, OTHERS.count * 2, OTHERS_PER_SECOND * 2);
        await pause(1500);
        const othersTold = async (seconds: number) => {
          await sessions.ask('comeAndGo', OTHERS, OTHERS_PER_SECOND * seconds, OTHERS_PER_SECOND);
          await pause(500);
        };
        await ofOthers.ask('listen', { change: true });
        await othersTold(quietSeconds);
        const quiet = await ofOthers.ask('told');
        await ofOthers.ask('listen', { change: true });
        await ofUsers.ask('listen', { change: true });
        await crowd.ask('returnAs', arrival(system, all, { ...there, patient: true }));
        endFirst();
        let coming = true;
        const back = crowd.ask('returned', users, BACK_LIMIT_MS).finally(() => {
          coming = false;
        });
        const watching = (async () => {
          while (coming) await othersTold(1);
        })();
        const { tookMs, back: count, attempts } = await back;
        await watching;
        const flaps = (await ofUsers.ask('told')).inactive;
        const meanwhile = await ofOthers.ask('told');
        tally.add(`back ${system.name}`, count === users ? tookMs / 1000 : Number.POSITIVE_INFINITY);
        tally.add(`missing ${system.name}`, users - count);
        tally.add(`flaps ${system.name}`, flaps);
        tally.add(`quiet ${system.name}`, quiet.late.p99);
        tally.add(`busy ${system.name}`, meanwhile.late.p99);
        tally.add(`attempts ${system.name}`, attempts / users);
      } finally {
        await stopAll(crowd, ofUsers, ofOthers, sessions, system);
      }
    };
    for (let round = 0; round < scale.repetitions; round++) {
      const job = cpuJob();
      cpuJobMs.push(job.cpuMs);
      say(`round ${round + 1} of ${scale.repetitions}; fixed CPU job ${short(job.cpuMs)} ms`);
      const rollcall = await startRollcall({ webs: 2, env: { MAX_WATCHED_USERS: '1000000' } });
      await turn(rollcall, () => rollcall.stack.webs[0]?.child.kill('SIGTERM'));
      if (round > 0) continue;
      const tutorial = await startTutorial({ webs: 2 });
      await turn(tutorial, () => tutorial.programsStarted[0]?.child.kill('SIGTERM'));
    }
    const values = (name: string) => ({
      rollcall: tally.of(`${name} rollcall`),
      tutorial: tally.of(`${name} tutorial`),
    });
    const slower = tally.of('busy rollcall').map((ms, n) => ms / (tally.of('quiet rollcall')[n] ?? Number.NaN));
    return {
      cpuJobMs,
      rows: [
        {
          what: `${users} reconnect at once: all are back after`,
          unit: 's',
          values: values('back'),
          targets: [{ atMost: 15 }],
        },
        {
          what: `not back after ${BACK_LIMIT_MS / 1000} s`,
          unit: 'users',
          values: values('missing'),
          targets: [{ atMost: 0 }],
        },
        { what: 'of them told inactive meanwhile', unit: 'users', values: values('flaps'), targets: [{ atMost: 0 }] },
        { what: "others' events, p99, quiet", unit: 'ms', values: values('quiet') },
        { what: "others' events, p99, meanwhile", unit: 'ms', values: values('busy') },
        { what: 'the latter by the former', unit: 'times', values: { rollcall: slower }, targets: [{ atMost: 2 }] },
        { what: 'attempts of a user', unit: '', values: values('attempts') },
      ],
    };
  },
};
