-- turn: gives turns to a tenant's held jobs after its limit was raised.
--
-- ARGV 7  tenant
-- Reply   the ids that were queued
-- Repeat  harmless. Without it `reconcile` gives them their turns within a round.

shrink_first()
local queues, from = {}, '-'
while from do
  local turn = redis.call('ZRANGEBYLEX', held_by(ARGV[7]), from, '+', 'LIMIT', 0, 1)[1]
  local name = turn and string.match(turn, '^%S+')
  queues[#queues + 1] = name
  from = name and '(' .. name .. '!'
end
for _, name in ipairs(queues) do refill(name, ARGV[7], 0) end
flush()
return released
