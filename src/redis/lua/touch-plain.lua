-- needs: plain
-- Heartbeats of many users, gathered by a web process, as far as they change nothing but the time. Whatever else a beat
-- may mean is left to touch-sessions.
-- KEYS  1.. in fours: dueKey, seenKey, apartDueKey, apartActiveKey (of a shard; see lib-record.lua); in a cluster its `never` behind them
-- ARGV  5.. in sixes: shard, userId, sid, conn, age, state (which of the shards, from 0; the session; how old the beat is, ms; what was
--       said with it: a, i or '')
-- Returns { place of a beat that is left (from 1), its moment (ms), … }
local result = {}
for n = 0, (#ARGV - 4) / 6 - 1 do
  local base = 5 + n * 6
  local shard, userId, sid, conn, age, state =
    tonumber(ARGV[base]), ARGV[base + 1], ARGV[base + 2], ARGV[base + 3], tonumber(ARGV[base + 4]), ARGV[base + 5]
  if not takePlainly(shard, userId, sid, conn .. '|l|', age + lateness, state) then
    result[#result + 1] = n + 1
    result[#result + 1] = whole(now - age - lateness)
  end
end
writeTaken()
for shard = 0, math.floor(#KEYS / 4) - 1 do
  local dueKey, seenKey, apartDueKey, apartActiveKey = unpack(KEYS, shard * 4 + 1, shard * 4 + 4)
  writePlain(shard, dueKey, seenKey, apartDueKey, apartActiveKey)
end
return result
