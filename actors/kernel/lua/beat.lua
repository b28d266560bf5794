-- beat: renews leases and carries progress; its replies carry cancel and deadline to the worker.
--
-- KEYS 9+  job:<id>, one an item
-- ARGV 5   lease (ms)
--      6+  four an item: id, fence, percent of the whole job ('' when nothing moved), progress (JSON object)
-- Reply    one status an item: OK | CANCEL (stop and report) | DEADLINE (expired) | FENCED (not yours any more)
-- Repeat   harmless.
--
-- A beat under a fence that was reaped proves that the worker lives: the crash it was charged is given back, once, and
-- while nobody has taken the job again so is the lease.

local lease = tonumber(ARGV[FIRST])
local statuses = {}
shrink_first()

local function report(job, percent, progress)
  if percent == '' then return end
  local reached = tonumber(percent) or 0
  local reason = job.reason
  -- percent is the high-water mark of the job; below it, `reason` says why a stage repeats.
  if reached > job.percent then
    job.percent = reached
    reason = ''
  end
  redis.call('HSET', job.key, 'percent', tostring(job.percent), 'progress', progress, 'reason', reason, 'updated_at', NOW)
  pulse(job, progress, reason)
end

local function resume(job, fence)
  drop_hint(job.inbox, job.entry)
  if job.state == 'delayed' then row('due', job.id, false) end
  job.state, job.entry, job.ended, job.crashes = 'running', '', 'returned ' .. fence, job.crashes - 1
  event(job, 'job.resumed', '{"stage":"' .. job.stage .. '"}')
  write(job, 'state', 'running', 'entry', '', 'ended', job.ended, 'crashes', job.crashes, 'reason', '')
end

local function beat(id, fence, percent, progress)
  local job = read(id)
  if not job then return 'FENCED' end
  if job.ended == 'reap ' .. fence and not TERMINAL[job.state] then
    if job.fence ~= fence then
      redis.call('HSET', job.key, 'crashes', math.max(0, job.crashes - 1), 'ended', 'returned ' .. fence)
      return 'FENCED'
    end
    resume(job, fence)
  end
  if job.fence ~= fence then return 'FENCED' end
  if job.state == 'running' then
    row('leases', id, NOW + lease)
    report(job, percent, progress)
    return job.cancel ~= '' and 'CANCEL' or 'OK'
  end
  if job.state == 'cancelled' then return 'CANCEL' end
  if job.state == 'expired' then return 'DEADLINE' end
  return 'FENCED'
end

for index = FIRST + 1, #ARGV, 4 do
  statuses[#statuses + 1] = beat(ARGV[index], ARGV[index + 1], ARGV[index + 2], ARGV[index + 3])
end
flush()
return statuses
