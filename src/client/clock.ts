/** Milliseconds by a clock that nobody sets, for durations: a device's own may jump by hours. */
export const monotonicMs = () => performance.now();
