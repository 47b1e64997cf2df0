// Loaded before a measured program (`--expose-gc --import`): it collects its garbage when it gets SIGUSR2, so that what is
// left is what it needs. Rollcall and the yardsticks are asked alike.
process.on('SIGUSR2', () => {
  for (let n = 0; n < 2; n++) globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
});
