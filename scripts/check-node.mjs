// First step of `npm start`, `npm run migrate` and the systemd units: runs on any Node, and ends with one sentence where it is
// too old, before that Node stumbles over the first type or flag that it does not know.
const WANTED = 24;

if (Number(process.version.slice(1).split('.')[0]) < WANTED) {
  console.error(
    `Rollcall needs Node ${WANTED} and this is ${process.version}: install it (https://nodejs.org/en/download), or run "npm ci" ` +
      'with the development dependencies, which bring one, and start it by npm.',
  );
  process.exit(1);
}
