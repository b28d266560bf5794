-- Part `end_lease`: how the end that a worker asks for stands, and leaving the place where a job waits or runs.

local parents = {}

-- Whether the job is a child whose parent has ended or is gone.
local function orphaned(job)
  if job.extra == '' or job.parent == '' then return false end
  if parents[job.parent] == nil then
    local state = redis.pcall('HGET', ROOT .. 'job:' .. job.parent, 'state')
    parents[job.parent] = type(state) == 'string' and not TERMINAL[state]
  end
  return not parents[job.parent]
end

-- Whether the job must end whatever is asked: cancelled, a needed child failed, or its parent has ended.
local function unwanted(job) return job.extra ~= '' and (job.cancel ~= '' or job.doomed ~= '' or orphaned(job)) end

-- The standing of `verb` under `fence`:
--   OK         the fence holds the job
--   CANCELLED  the job is not wanted any more (the cancel flag wins), or has already ended so under this fence
--   LATE       reaped, the fence still stands and nobody has taken the job again
--   ALREADY    this very end is recorded: the reply was lost and the call is a repeat
--   FENCED     a newer fence, or a terminal state
--   GONE       no such job
local function standing(job, verb, fence)
  if not job then return 'GONE' end
  if job.ended == verb .. ' ' .. fence then return 'ALREADY' end
  if job.fence ~= fence then return 'FENCED' end
  if job.state == 'running' then return unwanted(job) and 'CANCELLED' or 'OK' end
  if job.ended == 'reap ' .. fence and WAITS[job.state] then return unwanted(job) and 'CANCELLED' or 'LATE' end
  if job.state == 'cancelled' then return 'CANCELLED' end
  return 'FENCED'
end

-- Whether its hint lies in a priority inbox, where it counts for its tenant's window.
local function in_window(job)
  local inbox = job.inbox
  return string.sub(inbox, -7) == ':normal' or string.sub(inbox, -5) == ':high' or string.sub(inbox, -4) == ':low'
end

-- The inboxes of one stage and lane together: where a window is counted and a worker is wide.
local function queue_of(job) return job.stage .. ':' .. job.lane end
local function ready_set(job) return ROOT .. 'ready:' .. job.stage .. ':' .. job.lane .. ':' .. job.tenant end
local function slots(tenant) return ROOT .. 'run:' .. tenant end
local function held_by(tenant) return ROOT .. 'hold:' .. tenant end

-- Places that came free: queues in which a tenant may put a new hint, and tenants with a free slot. See part `turns`.
local vacant, freed = {}, {}

local function leave_window(job)
  member(ready_set(job), job.id, false)
  vacant[queue_of(job) .. ' ' .. job.tenant] = true
end

local limits = {}

-- Slots of a tenant; 0 when there is no limit.
local function limit_of(tenant)
  if not limits[tenant] then limits[tenant] = tonumber(redis.call('GET', ROOT .. 'limit:' .. tenant) or LIMIT) or 0 end
  return limits[tenant]
end

local function take_slot(job)
  if job.kind == 'delivery' then return end
  member(slots(job.tenant), job.id, true, limit_of(job.tenant) > 0)
end

local function leave_slot(job)
  if job.kind == 'delivery' or job.takes == 0 then return end
  member(slots(job.tenant), job.id, false, limit_of(job.tenant) > 0)
  freed[job.tenant] = true
end

local function has_slot(job)
  local gathered_slots = sets[slots(job.tenant)]
  local belongs = gathered_slots and gathered_slots[job.id]
  if belongs ~= nil and gathered_slots then return belongs end
  return redis.call('SISMEMBER', slots(job.tenant), job.id) == 1
end

-- Takes the job from where it waits or runs: its hint, its row of leases or delays, its place among the held.
local function leave(job)
  if job.state == 'running' then
    row('leases', job.id, false)
  elseif job.state == 'queued' then
    if in_window(job) then leave_window(job) end
  elseif job.state == 'delayed' then
    row('due', job.id, false)
  elseif job.state == 'held' then
    redis.call('ZREM', held_by(job.tenant), job.turn or redis.call('HGET', job.key, 'turn') or '')
  end
  drop_hint(job.inbox, job.entry)
  job.entry = ''
end

-- Leaves, and records which end did it.
local function end_lease(job, verb)
  leave(job)
  job.ended = verb .. ' ' .. job.fence
end
