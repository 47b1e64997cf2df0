-- Who may see the user has changed, as PostgreSQL has it. Told like a change, with a version of its own, so that every
-- watcher who loses or regains sight is told so.
-- ARGV  5 user  6 privacy (JSON)
--       7 seed mode  8 version  9 lastSeen  10 announced  11 hidden  12 detail  13 ms it has left  14 privacy
-- Returns { wake, code }
--   code: ok | seed (ask PostgreSQL first; nothing has been done)
local id = ARGV[5]
local u = load(id)
local seed = seedAt(7)
if not u and not seed then return { 0, 'seed' } end
if type(seed) == 'table' then seed[7] = '' end
local before = writePrivacy(id, ARGV[6])
if not u then
  if not before or not before.changed then return { 0, 'ok' } end
  u = newUser(id)
  applySeed(u, seed)
end
settle(u)
edge(u, next(u.sessions) and 'connect' or u.endedCause or 'timeout')
-- Of whom PostgreSQL could not tell whether they appear inactive nobody was told anything.
if before and before.changed and not u.unseeded then tellPrivacy(u, before) end
save(u)
return wake({ 0, 'ok' })
