-- announce: a worker says that it is there, and rows of workers that have been silent for too long go.
--
-- KEYS 1  rw:{sys}:workers, hash: name of a worker → facts
--      2  rw:{sys}:present, zset: name → when its row ends (server ms)
-- ARGV 1  name   2 facts (JSON object, see actors/kernel/presence.py)   3 life of the row (ms), at most a minute
-- Reply   server time (ms)
-- Repeat  harmless.
--
-- It begins with a shrinking write, so that workers stay known on a full Redis.

local BOUND = 100
local LONGEST = 60000
local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local name, facts, life = ARGV[1], ARGV[2], math.min(tonumber(ARGV[3]), LONGEST)

local gone = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', NOW, 'LIMIT', 0, BOUND)
redis.call('ZREM', KEYS[2], '', unpack(gone))
redis.call('HDEL', KEYS[1], '', unpack(gone))
-- The clock stepped back: no row outlasts the longest life from now.
for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. (NOW + LONGEST), '+inf', 'LIMIT', 0, BOUND)) do
  redis.call('ZADD', KEYS[2], NOW + LONGEST, other)
end
redis.call('ZADD', KEYS[2], NOW + life, name)
redis.call('HSET', KEYS[1], name, facts)
return string.format('%.0f', NOW)
