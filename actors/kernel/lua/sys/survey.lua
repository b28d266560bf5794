-- survey: how much waits, runs and is set aside in one partition. Writes nothing.
--
-- KEYS 1..5  leases, due, active, dead, quarantine, all of one partition
--      6+    inboxes of the same partition
-- Reply      {now (ms), running, delayed, active, dead, quarantined}, then two an inbox: hints that nobody has taken yet,
--            and when the oldest of them was put there (server ms; 0 when there is none)
-- Cost       three reads an inbox, whatever their length.

local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local figures = { string.format('%.0f', NOW) }
for index = 1, 5 do figures[#figures + 1] = redis.call('ZCARD', KEYS[index]) end

for index = 6, #KEYS do
  local delivered, pending = '0-0', 0
  local groups = redis.pcall('XINFO', 'GROUPS', KEYS[index])
  for _, group in ipairs(groups.err and {} or groups) do
    local facts = {}
    for field = 1, #group, 2 do facts[group[field]] = group[field + 1] end
    if facts.name == 'rw' then delivered, pending = facts['last-delivered-id'], facts.pending end
  end
  local oldest = redis.call('XRANGE', KEYS[index], '(' .. delivered, '+', 'COUNT', 1)[1]
  figures[#figures + 1] = math.max(0, redis.call('XLEN', KEYS[index]) - pending)
  figures[#figures + 1] = oldest and string.match(oldest[1], '^%d+') or '0'
end
return figures
