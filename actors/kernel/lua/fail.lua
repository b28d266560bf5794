-- fail: a worker ends its lease with an error.
--
-- KEYS 9+  job:<id>, one an item
-- ARGV 7+  seven an item: id, fence, class (transient | stalled | throttled | permanent), delay (ms), budget (errors a stage
--          may have), error (JSON object), reason (JSON object: why the job is delayed)
-- Reply    one status an item: OK | LATE | ALREADY | CANCELLED | FENCED | GONE, see part `end_lease`
-- Repeat   answers ALREADY.
--
-- Class, delay and budget are the caller's, read from the error table; this only enacts them. `throttled` spends nothing.

local statuses = {}
shrink_first()

local function delay_job(job, delay, failure, reason)
  local due = NOW + delay
  end_lease(job, 'fail')
  leave_slot(job)
  row('due', job.id, due)
  event(job, 'job.retrying', '{"error":' .. failure .. ',"next_at":"' .. timestamp(due) .. '"}')
  job.state, job.inbox = 'delayed', ''
  job.reason = string.sub(reason, 1, -2) .. ',"until":"' .. timestamp(due) .. '"}'
  write(job)
end

local function fail(id, fence, class, delay, budget, failure, reason)
  local job = read(id)
  local status = standing(job, 'fail', fence)
  if status == 'CANCELLED' and not TERMINAL[job.state] then
    finish_unwanted(job)
  elseif status == 'OK' or status == 'LATE' then
    -- After a reap the error replaces the crash that was charged.
    if status == 'LATE' then job.crashes = math.max(0, job.crashes - 1) end
    if class ~= 'throttled' then job.attempt, job.extra = job.attempt + 1, '1' end
    if class == 'permanent' or (class ~= 'throttled' and job.attempt >= tonumber(budget)) then
      finish(job, 'fail', 'failed', 'job.failed', '{"error":' .. failure .. '}', class, 'error', failure)
    else
      delay_job(job, tonumber(delay), failure, reason)
    end
  end
  return status
end

for index = FIRST, #ARGV, 7 do
  statuses[#statuses + 1] = apart(ARGV[index], fail, unpack(ARGV, index, index + 6))
end
settle()
flush()
return statuses
