-- retention: forgets terminal jobs whose time is over. Their files are swept before this is called.
--
-- KEYS 9+  job:<id>, one an item
-- ARGV 7+  ids
-- Reply    the ids that were forgotten; a job that is not terminal, or not yet due, stays
-- Repeat   harmless.

local forgotten = {}
shrink_first()
redis.call('ZREMRANGEBYSCORE', ROOT .. 'quarantine', '-inf', NOW - RETENTION)

for index = FIRST, #ARGV do
  local id = ARGV[index]
  local job = read(id)
  local ends = tonumber(redis.call('ZSCORE', ROWS.deadlines, id) or '')
  if job and TERMINAL[job.state] and ends and ends <= NOW then
    forget(job)
    redis.call('UNLINK', job.key, ROOT .. 'log:' .. id, kids_of(id))
    forgotten[#forgotten + 1] = id
  end
end
flush()
return forgotten
