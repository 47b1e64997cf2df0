import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';

// Loaded before a program (`--import`): SIGUSR2 begins a CPU profile, the next one ends it and writes it to the file that
// PROFILE_FILE names, with the process id behind.
/** More often and the profiler itself would be most of what an idle process does. */
const SAMPLE_MICROS = 500;
let session: Session | null = null;

process.on('SIGUSR2', async () => {
  if (session === null) {
    session = new Session();
    session.connect();
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROS });
    await session.post('Profiler.start');
    return;
  }
  const ending = session;
  session = null;
  const { profile } = await ending.post('Profiler.stop');
  writeFileSync(`${process.env.PROFILE_FILE}-${process.pid}.cpuprofile`, JSON.stringify(profile));
  ending.disconnect();
});
