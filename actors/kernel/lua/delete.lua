-- delete: a client gives up a job that has ended, with its children and with what they made. From the first call on nobody
-- can read it or replay it; its files are the reaper's to sweep.
--
-- KEYS 9  job:<id>
-- ARGV 7  id
-- Reply   {OK, left}         0: nothing is left of it. 1: it has more children than are forgotten in one call: call again
--         {UNFINISHED, state} it has not ended
--         {GONE, ''}         no such job
-- Repeat  goes on where the last call ended.
--
-- sweeps (set) names the jobs whose files are to be swept, deleted (zset) when each was deleted: a file that a late worker
-- still publishes is nobody's. The job itself goes last, so that a call that never came is the reaper's to make.

local MOST = 50
local left = MOST
shrink_first()

local function note(job)
  redis.call('SADD', ROOT .. 'sweeps', job.id)
  redis.call('ZADD', ROOT .. 'deleted', NOW, job.id)
end

-- Forgets the job behind its children; whether that is done.
local function delete(job)
  local kids = kids_of(job.id)
  local last = job.children > 0 and tonumber(redis.call('HGET', kids, 'deleted') or 0) or 0
  while last < job.children do
    left = left - 1
    local child = left >= 0 and read(job.id .. '.' .. last + 1)
    if child and not TERMINAL[child.state] then finish_unwanted(child) end
    if left < 0 or (child and not delete(child)) then
      redis.call('HSET', kids, 'deleted', last)
      return false
    end
    last = last + 1
  end
  note(job)
  forget(job)
  redis.call('UNLINK', job.key, ROOT .. 'log:' .. job.id, kids)
  return true
end

-- It takes more than one call: until the last one it is hidden, and out of every listing.
local function hide(job)
  redis.call('HSET', job.key, 'deleted', 1, 'listed', 0)
  redis.call('ZREM', ROOT .. 'jobs:' .. job.tenant, job.id)
  row('deadlines', job.id, false)
  note(job)
end

local job = read(ARGV[7])
if not job then return { 'GONE', '' } end
if not TERMINAL[job.state] then return { 'UNFINISHED', job.state } end
local done = delete(job)
if not done then hide(job) end
flush()
return { 'OK', done and 0 or 1 }
