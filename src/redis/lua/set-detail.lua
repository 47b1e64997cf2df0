-- needs: stored
-- What others see beside the status, from all sources, as PostgreSQL has it by now. No sign of life, and no transition.
-- ARGV  5 userId  6 revision: of the sources; older ones than those that are known are passed over
--       7 sourcesText: JSON, or '' for none; as `sources` in lib-stored.lua  8 storedText: the stored user (lib-stored.lua)
-- Returns { wake, code, ms until what is shown ends or -1 }
--   code: ok | stored (ask PostgreSQL first; it has the new sources by then)
local userId, revision, sourcesText, storedText = ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8]
local u = load(userId)
local stored = storedUser(storedText)
if (not u or u.choiceUnknown) and not stored then return { 0, 'stored', -1 } end
if not u then u = newUser(userId) end
if stored and (u.fresh or u.choiceUnknown) then
  applyStored(u, stored)
  -- What was lost may have been told, and not be there any more.
  if not u.hiddenUntil then u.toldDetail = '?' end
end
-- Redis has lost somebody who is here, or who has left and nobody was told: whoever has their connection makes the record, or
-- the settling of what was lost, and this is told with it.
if u.fresh and u.toldBeforeLoss then return { 0, 'ok', -1 } end
settle(u)

if revision >= (u.detailRevision or 0) then
  u.detailRevision = revision
  setSources(u, sourcesText == '' and {} or dated(cjson.decode(sourcesText)))
end
tell(u, next(u.sessions) and 'connect' or u.endedCause or 'timeout')
save(u)
return wake({ 0, 'ok', u.detailUntil and math.max(u.detailUntil - now, 0) or -1 })
