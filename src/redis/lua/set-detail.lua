-- needs: stored
-- What the user lets others see beside the status, or (nothing) no longer does. No sign of life, and no transition.
-- ARGV  5 user  6 detail (JSON) or '' for nothing  7 ms until it ends, -1: never
--       8 the stored user (lib-stored.lua)
-- Returns { wake, code, delay of its end or -1 }
--   code: ok | stored (ask PostgreSQL first; it has the new detail by then)
local u = load(ARGV[5])
local stored = storedUser(ARGV[8])
if (not u or u.choiceUnknown) and not stored then return { 0, 'stored', -1 } end
if not u then u = newUser(ARGV[5]) end
if stored and (u.fresh or u.choiceUnknown) then applyStored(u, stored) end
settle(u)

local delay = tonumber(ARGV[7])
u.detail, u.detailUntil = nil, nil
if ARGV[6] ~= '' then
  u.detail = ARGV[6]
  if delay >= 0 then u.detailUntil = now + delay end
end
-- Who is not here any more is told as gone where PostgreSQL still remembers them as active.
edge(u, next(u.sessions) and 'connect' or u.endedCause or 'timeout')
save(u)
return wake({ 0, 'ok', u.detailUntil and delay or -1 })
