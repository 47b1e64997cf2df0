-- needs: save status
-- What others may know of some users, with their versions. Settles first, so that no state is shown whose event
-- is not on its way.
-- ARGV  5 viewer: '' for one who sees everything  6 watches: 1 for a watcher, who is shown what was announced last and told of
--         whatever is still to be announced; 0 for one who only asks  7.. userId
-- Returns { wake, last id in the outbox, status, lastSeen, version, detail, access, … } five per user as in lib-status.lua, and behind them
--   userId, detail, … of those who appear inactive and of whom something is said, where the viewer is told so all the same
local viewer, watches = ARGV[5], ARGV[6]
local result, hidden = { 0, '0-0' }, {}
for n = 7, #ARGV do
  local userId = ARGV[n]
  local status, told, version, detail, mark, said = readStatus(userId)
  if not status then
    local u = load(userId)
    settle(u)
    save(u)
    -- While nothing may expire, what was announced last still stands.
    local active = u.announced or (watches ~= '1' and u.showing)
    status, version = active and 1 or u.choiceUnknown and -2 or 0, whole(u.version)
    told = u.lastSeen and whole(u.lastSeen) or ''
    said = u.hiddenUntil and not u.choiceUnknown and u.detail
    detail = (u.toldDetail == '?' or watches ~= '1') and detailOf(u) or u.toldDetail
  end
  show(result, viewer, userId, mark, status, told, version, detail)
  if said and (viewer == '' or viewer == userId) then hidden[#hidden + 1], hidden[#hidden + 2] = userId, said end
end
for _, value in ipairs(hidden) do result[#result + 1] = value end
result[2] = lastIdOf(outboxKey)
return wake(result)
