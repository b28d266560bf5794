-- beat: renews leases and carries progress; its replies carry cancel and deadline to the worker.
--
-- KEYS 9+  job:<id>, one an item
-- ARGV 7   lease (ms)
--      8+  four an item: id, fence, percent of the whole job ('' when nothing moved), progress (JSON object)
-- Reply    one status an item: OK | CANCEL (stop and report) | DEADLINE (expired) | FENCED (not yours any more)
-- Repeat   harmless.
--
-- A beat under a fence that was reaped proves that the worker lives, see part `resume`.

local UNTIL = text_of[NOW + tonumber(ARGV[FIRST])]
local statuses = {}
shrink_first()

local function report(job, percent, progress)
  if percent == '' then return end
  local reached = tonumber(percent) or 0
  local before = job.percent
  -- percent is the high-water mark of the job; below it, `reason` says why a stage repeats.
  if reached > before then
    job.percent = reached
    job.reason = ''
  end
  redis.call('HSET', job.key, 'percent', whole(job.percent), 'progress', progress, 'reason', job.reason, 'updated_at', NOW_TEXT)
  pulse(job, progress, job.reason)
  credit(job, job.percent - before)
end

local function beat(id, fence, percent, progress)
  local job = read(id)
  if not job then return 'FENCED' end
  resume(job, fence)
  if job.fence ~= fence then return 'FENCED' end
  if job.state == 'running' then
    if orphaned(job) then
      finish_unwanted(job)
      return 'CANCEL'
    end
    row('leases', id, UNTIL)
    report(job, percent, progress)
    return unwanted(job) and 'CANCEL' or 'OK'
  end
  if job.state == 'cancelled' then return 'CANCEL' end
  if job.state == 'expired' then return 'DEADLINE' end
  return 'FENCED'
end

for index = FIRST + 1, #ARGV, 4 do
  local id = ARGV[index]
  statuses[#statuses + 1] = apart(id, beat, id, ARGV[index + 1], ARGV[index + 2], ARGV[index + 3])
end
settle()
flush()
return statuses
