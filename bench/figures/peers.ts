import type { Figure } from '../measure/figure.ts';
import { say } from '../measure/figure.ts';
import { cpuJob } from '../measure/machine.ts';
import { short, spreadOf } from '../measure/statistics.ts';
import { startDeepstream } from '../peers/deepstream.ts';
import { startEjabberd } from '../peers/ejabberd.ts';
import { BEAT_SECONDS, type Peer, SILENCE_SECONDS, type StartPeer } from '../peers/peer.ts';
import { startProsody } from '../peers/prosody.ts';
import { startAdapter, startOwn } from '../peers/socket-io.ts';
import { type Costs, costsOf, frozenNoticed, nodeEnds } from '../peers/works.ts';

const PEERS: Record<string, StartPeer> = {
  Rollcall: startOwn,
  'Socket.IO, Redis adapter': startAdapter,
  deepstream: startDeepstream,
  ejabberd: startEjabberd,
  Prosody: startProsody,
};

/** What would stand beside them and cannot be started here, and why. */
const NOT_HERE = [
  'Convex: its component for presence runs on its backend, which is not on npm (a binary or a container).',
  'Colyseus: what it calls presence is how its processes talk to each other; who is in a room is known there while one process lives.',
  'Centrifugo, Sockudo, Phoenix: neither on npm nor in Debian. Ably: a service.',
];

/** The same work on what others run for presence, as far as it can be had from npm and Debian. */
export const peers: Figure = {
  title: 'Beside real peers: what is the same work there, and what is told when something ends',
  seconds: { full: 2000, quick: 700 },
  byName: true,
  measure: async (scale) => {
    const sizes = {
      users: scale.pick(300, 60),
      perSecond: 50,
      beatsPerSecond: scale.pick(300, 100),
      beatSeconds: scale.pick(5, 3),
      changes: scale.pick(40, 10),
      watchers: 200,
      idleSeconds: scale.pick(10, 4),
    };
    const limitSeconds = scale.pick(60, 30);
    const cpuJobMs: number[] = [];
    const costs = new Map<string, Costs[]>();
    const noticed: Record<string, string | number>[] = [];
    const setups: string[] = [];
    const notes: string[] = [];
    for (let round = 0; round < scale.repetitions; round++) {
      cpuJobMs.push(cpuJob().cpuMs);
      for (const [name, start] of Object.entries(PEERS)) {
        say(`round ${round + 1} of ${scale.repetitions}: ${name}`);
        await withPeer(
          name,
          () => start(1),
          notes,
          async (peer) => {
            if (round === 0) setups.push(`${name}: ${peer.setup}.`);
            costs.set(name, [...(costs.get(name) ?? []), await costsOf(peer, sizes)]);
          },
        );
      }
    }
    for (const [name, start] of Object.entries(PEERS)) {
      say(`what is told: ${name}`);
      const row: Record<string, string | number> = { who: name };
      await withPeer(
        name,
        () => start(1),
        notes,
        async (peer) => {
          const seconds = await frozenNoticed(peer, 20, limitSeconds);
          const known = seconds.filter((each) => each !== null);
          const never = seconds.length - known.length;
          row['frozen client told away after'] =
            known.length === 0
              ? `not within ${limitSeconds} s`
              : `${short(spreadOf(known).p50)} s, at most ${short(Math.max(...known))} s${never > 0 ? `; ${never} not at all` : ''}`;
        },
      );
      for (const [how, title] of [
        ['SIGKILL', 'one of two nodes killed'],
        ['SIGTERM', 'one of two nodes deployed'],
      ] as const) {
        await withPeer(
          name,
          () => start(2),
          notes,
          async (peer) => {
            const { falselyAway, staying, ghosts, leaving, lastTold } = await nodeEnds(peer, how, limitSeconds);
            row[`${title}: told falsely`] = `${falselyAway} of ${staying}`;
            row[`${title}: ghosts ${limitSeconds} s later`] = `${ghosts} of ${leaving}`;
            row[`${title}: last told after`] = lastTold === null ? '–' : `${short(lastTold)} s`;
          },
        );
        row[`${title}: told falsely`] ??= 'has no cluster';
      }
      noticed.push(row);
    }
    const middle = (values: number[]) => short(spreadOf(values).p50);
    const range = (values: number[]) =>
      values.length > 1
        ? `${middle(values)} (${short(Math.min(...values))}–${short(Math.max(...values))})`
        : middle(values);
    return {
      cpuJobMs,
      rows: [],
      tables: {
        'What the same work costs (CPU of all processes)': [...costs].map(([who, each]) => ({
          who,
          'a connect, µs': range(each.map(({ connect }) => connect)),
          'a heartbeat, µs': range(each.map(({ heartbeat }) => heartbeat)),
          [`an event told to ${sizes.watchers}, login included, µs`]: range(each.map(({ told }) => told)),
          'a thousand idle users, ms a second': range(each.map(({ idle }) => idle)),
        })),
        [`What is told when something ends (heard of every ${BEAT_SECONDS} s, gone after ${SILENCE_SECONDS} s where that can be set)`]:
          noticed,
      },
      notes: [...setups, ...new Set(notes), ...NOT_HERE],
    };
  },
};

/** Runs `work` with a peer and stops it; what goes wrong is a note, for the others go on. */
async function withPeer(
  name: string,
  start: () => Promise<Peer>,
  notes: string[],
  work: (peer: Peer) => Promise<void>,
): Promise<void> {
  let peer: Peer | undefined;
  try {
    peer = await start();
    await work(peer);
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    say(`${name}: ${reason}`);
    notes.push(`${name}: ${reason}`);
  } finally {
    await peer?.stop();
  }
}
