-- commit: a worker ends its lease with a result.
--
-- KEYS 9+  job:<id>, one an item
-- ARGV 7   lease (ms)
--      8+  twelve an item: id, fence, kind (next | split | done), stage, lane and rescue of the next stage, percent reached
--          ('' when the stage reported none), reach (split: percent of the job when its children have ended), body (next,
--          split: input of the next stage; done: the result), refs (JSON array), data (done: JSON object, the data of
--          job.completed), keep (next: the worker that has a free slot for the next stage, or '')
-- Reply    one status an item: OK | KEPT | LATE | ALREADY | CANCELLED | FENCED | GONE, see part `end_lease`
--          KEPT  that worker goes on with the next stage at once, as if it had taken it. Its fence is the one that ended with
--                one take more: no other can have been given that name
-- Repeat   answers ALREADY; KEPT, with a renewed lease, as long as the worker has the job.
--
-- The fence is compared, the lease ended, the next hint written and the event appended here and nowhere else, so there
-- is no window between a result and what follows from it. `split` waits for the children that `spawn` made and goes on
-- at once if none is open.
--
-- A worker may keep a job only where nobody waits: then `take` would give it the very job whose hint would be written here.

local UNTIL = text_of[NOW + tonumber(ARGV[FIRST])]
local statuses = {}
shrink_first()

local function step(job, stage, lane, rescue, percent)
  job.stage, job.lane = stage, lane
  if rescue ~= '' then job.extra = '1' end
  if job.extra ~= '' then job.rescue = rescue end
  if job.extra ~= '' then job.attempt, job.crashes, job.pinned = 0, 0, '' end
  job.reason = ''
  -- A stage that ends before its last beat has still come as far as it says.
  if percent == '' then return end
  local before = job.percent
  job.percent = math.max(before, tonumber(percent) or 0)
  credit(job, job.percent - before)
end

local paused = {}

-- Whether work for the job's stage and lane waits already, or none may begin.
local function is_kept_back(job)
  if paused[job.stage] == nil then paused[job.stage] = redis.call('HEXISTS', ROOT .. 'paused', job.stage) == 1 end
  return paused[job.stage] or job.deadline <= NOW or is_awaited(job)
end

local function next_stage(job, stage, lane, rescue, percent, body, refs, keep)
  local done = job.stage
  end_lease(job, 'commit')
  step(job, stage, lane, rescue, percent)
  local data = '{"done":"' .. done .. '","next":"' .. stage .. '"}'
  if keep == '' or is_kept_back(job) then
    event(job, 'job.stage', data)
    enqueue(job)
    write(job, 'input', body, 'refs', refs)
    return 'OK'
  end
  event(job, 'job.stage', data, true)
  start(job, string.match(job.fence, '%.(.*)$'), UNTIL)
  job.inbox = ''
  write(job, 'owner', keep, 'started_at', NOW_TEXT, 'input', body, 'refs', refs)
  return 'KEPT'
end

-- Whether the worker has this job by an earlier sending of this call.
local function has_kept(job, fence)
  local takes, nonce = string.match(fence, '^(%d+)(%..*)$')
  if not takes then return false end
  local kept = text_of[takes + 1] .. nonce
  resume(job, kept)
  if job.state ~= 'running' or job.fence ~= kept then return false end
  row('leases', job.id, UNTIL)
  return true
end

local function wait_for_children(job, stage, lane, rescue, percent, reach, body, refs)
  local key = kids_of(job.id)
  end_lease(job, 'commit')
  leave_slot(job)
  step(job, stage, lane, rescue, percent)
  job.state, job.inbox, job.reason = 'waiting', '', parts_awaited(job.open)
  redis.call('HSET', key, 'base', tostring(job.percent), 'reach', reach)
  redis.call('HDEL', key, 'revive')
  event(job, 'job.waiting', '{"children":' .. job.children .. '}')
  write(job, 'input', body, 'refs', refs)
  raise(job, 0)
end

local function has_open_children(job)
  job.open = job.children > 0 and tonumber(redis.call('HGET', kids_of(job.id), 'open') or 0) or 0
  return job.open > 0
end

local function commit(id, fence, kind, stage, lane, rescue, percent, reach, body, refs, data, keep)
  local job = read(id)
  if job and keep ~= '' and job.fence ~= fence and has_kept(job, fence) then return 'KEPT' end
  local status = standing(job, 'commit', fence)
  if status == 'CANCELLED' and not TERMINAL[job.state] then
    finish_unwanted(job)
  elseif status == 'OK' or status == 'LATE' then
    if kind == 'done' then
      -- What it worked from is not needed any more: a completed job begins never again.
      finish(job, 'commit', 'completed', 'job.completed', data, '', 'result', body, 'refs', '[]', 'percent', 100,
        'input', '', 'first_input', '')
    elseif kind == 'split' and has_open_children(job) then
      wait_for_children(job, stage, lane, rescue, percent, reach, body, refs)
    else
      local went = next_stage(job, stage, lane, rescue, percent, body, refs, status == 'OK' and keep or '')
      if went == 'KEPT' then return went end
    end
  end
  return status
end

for index = FIRST + 1, #ARGV, 12 do
  statuses[#statuses + 1] = apart(ARGV[index], commit, unpack(ARGV, index, index + 11))
end
settle()
flush()
return statuses
