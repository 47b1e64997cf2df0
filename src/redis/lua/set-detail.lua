-- needs: stored
-- What the user lets others see beside the status, or (nothing) no longer does. No sign of life, and no transition.
-- ARGV  5 userId  6 detail (JSON) or '' for nothing  7 delay: ms until it ends, -1: never
--       8 storedText: the stored user (lib-stored.lua)
-- Returns { wake, code, delay of its end or -1 }
--   code: ok | stored (ask PostgreSQL first; it has the new detail by then)
local userId, detail, delay, storedText = ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[8]
local u = load(userId)
local stored = storedUser(storedText)
if (not u or u.choiceUnknown) and not stored then return { 0, 'stored', -1 } end
if not u then u = newUser(userId) end
if stored and (u.fresh or u.choiceUnknown) then applyStored(u, stored) end
settle(u)

u.detail, u.detailUntil = nil, nil
if detail ~= '' then
  u.detail = detail
  if delay >= 0 then u.detailUntil = now + delay end
end
-- Who is not here any more is told as gone where PostgreSQL still remembers them as active.
tell(u, next(u.sessions) and 'connect' or u.endedCause or 'timeout')
save(u)
return wake({ 0, 'ok', u.detailUntil and delay or -1 })
