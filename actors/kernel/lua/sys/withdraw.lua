-- withdraw: rows of workers go: those that are named, because they have ended, and those that have been silent too long.
--
-- KEYS 1   rw:{sys}:workers, hash   2 rw:{sys}:present, zset, both as in `announce`
-- ARGV 1+  names; none is allowed
-- Reply    the silent ones that went, at most 100 a call
-- Repeat   harmless.

local BOUND = 100
local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local silent = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', NOW, 'LIMIT', 0, BOUND)
for _, names in ipairs({ silent, ARGV }) do
  redis.call('ZREM', KEYS[2], '', unpack(names))
  redis.call('HDEL', KEYS[1], '', unpack(names))
end
return silent
