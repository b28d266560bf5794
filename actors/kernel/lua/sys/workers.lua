-- workers: who is there now. Writes nothing.
--
-- KEYS 1  rw:{sys}:workers, hash   2 rw:{sys}:present, zset, both as in `announce`
-- ARGV 1  first row, 0 at the beginning
-- Reply   three a worker: name, when its row ends (server ms), facts (JSON object); at most 100 a call

local BOUND = 100
local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local found = {}
local rows = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. NOW, '+inf', 'WITHSCORES', 'LIMIT', ARGV[1], BOUND)
for index = 1, #rows, 2 do
  found[#found + 1] = rows[index]
  found[#found + 1] = rows[index + 1]
  found[#found + 1] = redis.call('HGET', KEYS[1], rows[index]) or ''
end
return found
