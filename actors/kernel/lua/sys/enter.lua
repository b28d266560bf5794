-- enter: a holder gets one of the places of a named limit, or keeps the one it has.
--
-- KEYS 1  rw:{sys}:limit:<name>, zset: holder → when its place ends (server ms)
-- ARGV 1  places in all   2 lease (ms)   3 holder
-- Reply   {1, 0}, or {0, ms until the first place ends if its holder is gone}
-- Repeat  harmless: it renews.
--
-- A place is a lease: a holder that died leaves when its time is over. Reading and entering are one script, so there are
-- never more holders than places. It begins with a shrinking write, so that running work goes on when Redis is full.

local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local places, lease, holder = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', NOW)
-- The clock stepped back: no place outlasts a whole lease from now. There are as many rows as places.
for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. (NOW + lease), '+inf', 'LIMIT', 0, 100)) do
  redis.call('ZADD', KEYS[1], NOW + lease, other)
end
if not redis.call('ZSCORE', KEYS[1], holder) and redis.call('ZCARD', KEYS[1]) >= places then
  local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  return { 0, tonumber(first[2] or NOW) - NOW }
end
redis.call('ZADD', KEYS[1], NOW + lease, holder)
return { 1, 0 }
