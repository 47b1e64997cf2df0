/**
 * Loaded into one process before its own code (`node --import`): SIGUSR2 moves what that process takes for the time by
 * CLOCK_MOVED_MS, and back. Timers and `performance.now()` go on as they do when somebody sets a machine's clock.
 */
const movedMs = Number(process.env.CLOCK_MOVED_MS ?? '0');
const RealDate = Date;
let offset = 0;

class MovedDate extends RealDate {
  constructor(...given: unknown[]) {
    if (given.length === 0) super(MovedDate.now());
    else super(...(given as [number]));
  }

  static override now(): number {
    return RealDate.now() + offset;
  }
}

globalThis.Date = MovedDate as DateConstructor;
process.on('SIGUSR2', () => {
  offset = offset === 0 ? movedMs : 0;
});
