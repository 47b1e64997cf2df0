/**
 * Resolves at the first reason to stop: Ctrl-C, SIGTERM, the terminal's end, or the end of the process that started
 * this one with a channel (scripts/setup.mjs). Repeated signals are swallowed: stopping is under way and bounded.
 */
export function stopSignal(): Promise<NodeJS.Signals | 'orphaned'> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(signal));
    if (process.channel) {
      process.once('disconnect', () => resolve('orphaned'));
      // Only the listener: the channel keeps nobody alive.
      process.channel.unref();
    }
  });
}
