-- reconcile: repairs what the job hash says against what the streams and sets hold; one page of `active` a call.
--
-- ARGV 7   cursor ('0' starts a round)   8 lease (ms)
--      9+  queues without a live worker (`<stage>:gpu`): jobs in them that may run on `cpu` are moved there
-- Reply    {next cursor ('0' ends the round), id, repair, …} with repair hint | lease | due | deadline | row | hold | turn |
--          wake | child | parent | lane | error
-- Repeat   harmless.
--
-- Hints may be lost with their entry, their group or their stream. A queued job needs an entry that exists and that the
-- group has not delivered yet: `take` delivers and grants in one script, so a delivered entry of a queued job is a ghost.

local page = redis.call('ZSCAN', ROWS.active, ARGV[7], 'COUNT', BOUND)
local lease = tonumber(ARGV[8])
local deserted = {}
for index = FIRST + 2, #ARGV do deserted[ARGV[index]] = true end
local repairs = { page[1] }
local delivered = {}
shrink_first()

local function repaired(id, what)
  repairs[#repairs + 1] = id
  repairs[#repairs + 1] = what
end

-- The place of an inbox's group, asked once a call.
local function place(inbox)
  if not delivered[inbox] then delivered[inbox] = last_delivered(ROOT .. inbox) or '0-0' end
  return delivered[inbox]
end

-- Whether the job's entry is there and names this job: a stream that was lost may give old ids to new hints.
local function has_entry(job)
  if job.entry == '' then return false end
  local found = redis.call('XRANGE', ROOT .. job.inbox, job.entry, job.entry)
  return #found == 1 and found[1][2][2] == job.id
end

local function renew_hint(job)
  local known = has_entry(job)
  if known and is_after(job.entry, place(job.inbox)) then return end
  if known then drop_hint(job.inbox, job.entry) end
  requeue(job, job.inbox)
  if in_window(job) then member(ready_set(job), job.id, true) end
  redis.call('HSET', job.key, 'entry', job.entry)
  repaired(job.id, 'hint')
end

-- No worker of its lane is left: it goes where one is.
local function change_lane(job)
  leave(job)
  job.lane = 'cpu'
  enqueue(job, 'job.queued', '{"stage":"' .. job.stage .. '","lane":"cpu"}')
  write(job)
  repaired(job.id, 'lane')
end

local SAMPLE = 20
local mended, mends = {}, 5

-- Members of a tenant's sets that do not belong there would keep its held jobs from their turns.
local function drop_strangers(key, belongs)
  for _, id in ipairs(redis.call('SRANDMEMBER', key, SAMPLE)) do
    local job = read(id)
    if not job or not belongs(job) then member(key, id, false, true) end
  end
end

local function mend_turns(job)
  local queue_name = queue_of(job)
  local place_name = queue_name .. ' ' .. job.tenant
  if mended[place_name] or mends <= 0 then return end
  mended[place_name], mends = true, mends - 1
  drop_strangers(ready_set(job), function(other)
    return other.state == 'queued' and in_window(other) and queue_of(other) == queue_name
  end)
  drop_strangers(slots(job.tenant), function(other)
    return other.state == 'running' or other.state == 'queued' or other.state == 'held'
  end)
  local before = #released
  refill(queue_name, job.tenant, 0)
  for index = before + 1, #released do repaired(released[index], 'turn') end
end

local function mend_children(parent)
  local key = kids_of(parent.id)
  local facts = redis.call('HMGET', key, 'open', 'revived')
  if tonumber(facts[2] or parent.children) < parent.children then
    revive_children(parent)
    return repaired(parent.id, 'child')
  end
  if tonumber(facts[1] or 0) <= 0 then
    wake(parent)
    return repaired(parent.id, 'wake')
  end
  local rows = redis.call('HRANDFIELD', key, SAMPLE, 'WITHVALUES')
  for index = 1, #rows, 2 do
    if rows[index + 1] == 'open' then
      local id = parent.id .. '.' .. rows[index]
      local child = read(id)
      if not child or TERMINAL[child.state] then
        child_ended(child or { id = id, parent = parent.id, fence = '', percent = 0 }, child and child.state or 'failed')
        repaired(id, 'child')
      end
    end
  end
end

local CLOCK_STEP_MS = 1000
local UNTIL = '"until":"[^"]*"}$'

-- A retry that was delayed while the clock was ahead would wait for as long as the clock has been set back since. A job
-- that was never taken waits for the time that its client named, which is right as it stands.
local function mend_delay(job, due)
  local ahead = tonumber(redis.call('HGET', job.key, 'updated_at') or 0) - NOW
  if ahead < CLOCK_STEP_MS or job.takes == 0 then return end
  due = math.max(NOW, due - ahead)
  row('due', job.id, due)
  local reason = string.gsub(job.reason, UNTIL, '"until":"' .. timestamp(due) .. '"}')
  redis.call('HSET', job.key, 'updated_at', NOW, 'reason', reason)
  repaired(job.id, 'due')
end

local function mend_rows(job)
  if job.state == 'running' and job.kind ~= 'delivery' then member(slots(job.tenant), job.id, true, true) end
  if job.state == 'queued' and in_window(job) then member(ready_set(job), job.id, true, true) end
  if not redis.call('ZSCORE', ROWS.deadlines, job.id) then
    row('deadlines', job.id, job.deadline)
    repaired(job.id, 'deadline')
  end
  if job.state == 'running' and not redis.call('ZSCORE', ROWS.leases, job.id) then
    row('leases', job.id, NOW + lease)
    repaired(job.id, 'lease')
  elseif job.state == 'delayed' then
    local due = redis.call('ZSCORE', ROWS.due, job.id)
    if due then return mend_delay(job, tonumber(due)) end
    row('due', job.id, NOW)
    repaired(job.id, 'due')
  elseif job.state == 'held' then
    local turn = redis.call('HGET', job.key, 'turn') or ''
    if not redis.call('ZSCORE', held_by(job.tenant), turn) then
      redis.call('ZADD', held_by(job.tenant), 0, turn)
      repaired(job.id, 'hold')
    end
  end
end

local function repair(id)
  local job = read(id)
  if not job or TERMINAL[job.state] then
    row('active', id, false)
    return repaired(id, 'row')
  end
  if orphaned(job) then
    finish_unwanted(job)
    return repaired(id, 'parent')
  end
  mend_rows(job)
  local waits = job.state == 'queued' or job.state == 'held'
  if waits and job.rescue == '1' and deserted[queue_of(job)] then
    change_lane(job)
  elseif job.state == 'queued' then
    renew_hint(job)
  elseif job.state == 'held' then
    mend_turns(job)
  elseif job.state == 'waiting' then
    mend_children(job)
  end
end

-- Once a round: a feed whose epoch alone was lost would be without an identity for ever.
if ARGV[7] == '0' and redis.call('EXISTS', FEED) == 1 then redis.call('SET', EPOCH, string.format('%x', NOW), 'NX') end
for index = 1, #page[2], 2 do
  if apart(page[2][index], repair, page[2][index]) == 'ERROR' then repaired(page[2][index], 'error') end
end
settle()
flush()
return repairs
