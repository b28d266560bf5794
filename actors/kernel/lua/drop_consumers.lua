-- drop_consumers: consumers of one inbox that hold nothing and have not asked for work for a long time are deleted.
--
-- KEYS 9  inbox
-- ARGV 7  how long a consumer must have been idle (ms)
-- Reply   the names that were deleted, at most 100 a call
-- Repeat  harmless: a consumer that lives is made again when it next takes.
--
-- Deleting a consumer deletes what is pending for it, so the count is read in the same script. Every process takes under
-- a name of its own; without this the group would keep the names of all that ever lived.

local idle = tonumber(ARGV[FIRST])
local dropped = {}
shrink_first()

local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[9], GROUP)
for _, consumer in ipairs(consumers.err and {} or consumers) do
  local facts = {}
  for field = 1, #consumer, 2 do facts[consumer[field]] = consumer[field + 1] end
  if #dropped < BOUND and facts.pending == 0 and facts.idle > idle then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[9], GROUP, facts.name)
    dropped[#dropped + 1] = facts.name
  end
end
return dropped
