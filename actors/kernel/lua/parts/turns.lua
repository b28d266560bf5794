-- Part `turns`: where a job waits. Every tenant may have a window of hints in the priority inboxes of one stage and lane
-- (as many as the widest worker has slots, or as the settings say if that is more), and as many jobs in slots as its
-- limit says. What is beyond that is held, in the tenant's own order, and gets its hint at the inbox's end when an earlier
-- one is taken. So a tenant that comes later is served behind one window of each other tenant, however much they have
-- waiting.
--
-- hold:<tenant> is ordered by its members, `<stage>:<lane> <order> <id>`. The order begins with 0 for jobs that have a
-- slot already and 1 for others; then comes the time of submission, ten minutes ahead or behind for high and low priority.

local AHEAD = { high = -600000, normal = 0, low = 600000 }
local LIMITED = '{"code":"TENANT_LIMIT","message":"As many jobs of this tenant are under way as may be at once; this one '
  .. 'follows when one of them has ended."}'
local TURN = '{"code":"TURN_AWAITED","message":"Earlier jobs of the same tenant go first."}'

local windows = {}
-- Whether something waits in an inbox, and for a queue (`<stage>:<lane>`).
local waiting, awaited = {}, {}

local function width_key(queue_name) return ROOT .. 'width:' .. queue_name end

-- Hints that one tenant may have in the priority inboxes of a queue (`<stage>:<lane>`).
local function window_of(queue_name)
  if not windows[queue_name] then
    local width = tonumber(redis.call('GET', width_key(queue_name)) or 0) or 0
    windows[queue_name] = math.max(WINDOW, math.min(width, BOUND))
  end
  return windows[queue_name]
end

-- Why the job must be held, or nil. Deliveries need no slot.
local function no_room(job)
  local ready = size(ready_set(job))
  if ready >= window_of(queue_of(job)) then return TURN end
  if job.kind == 'delivery' then return nil end
  local limit = limit_of(job.tenant)
  if limit > 0 and size(slots(job.tenant)) + ready >= limit and not has_slot(job) then return LIMITED end
  return nil
end

local function hold(job, why)
  local begun = job.takes > 0 and has_slot(job)
  local created_at = job.created_at or tonumber(redis.call('HGET', job.key, 'created_at') or 0)
  local order = math.max(0, created_at + AHEAD[job.priority])
  job.turn = string.format('%s:%s %s%015.0f %s', job.stage, job.lane, begun and '0' or '1', order, job.id)
  job.state, job.inbox, job.entry, job.reason = 'held', '', '', why
  redis.call('ZADD', held_by(job.tenant), 0, job.turn)
  event(job, 'job.held', '{"reason":' .. why .. '}')
end

-- Gives the job its hint: in the inbox that stands apart for it, or else in that of `priority_for(job)`.
local function queue(job, priority_for)
  local beside = inbox_apart(job)
  requeue(job, beside or inbox_named(job, priority_for(job)))
  if not beside then member(ready_set(job), job.id, true) end
  awaited[queue_of(job)] = true
  job.reason = ''
end

local function own_priority(job) return job.priority end

-- Lets the job wait for a worker of its stage and lane; `kind` and `data` are the event if it is queued and not held.
-- The caller writes the job.
function enqueue(job, kind, data)
  local why = not inbox_apart(job) and no_room(job)
  if why then return hold(job, why) end
  queue(job, own_priority)
  if kind then event(job, kind, data) end
end

-- Whether a hint lies in the inbox that was not delivered; asked once a call.
local function has_waiting(inbox)
  if waiting[inbox] == nil then
    local newest = redis.call('XREVRANGE', ROOT .. inbox, '+', '-', 'COUNT', 1)[1]
    local delivered = newest and last_delivered(ROOT .. inbox)
    waiting[inbox] = newest ~= nil and (not delivered or is_after(newest[1], delivered))
  end
  return waiting[inbox]
end

-- Whether anybody waits for the job's stage and lane.
local function is_awaited(job)
  local queue_name = queue_of(job)
  if awaited[queue_name] == nil then
    awaited[queue_name] = false
    for _, name in ipairs({ 'again', 'alone', 'high', 'normal', 'low' }) do
      if has_waiting(inbox_named(job, name)) then awaited[queue_name] = true end
    end
  end
  return awaited[queue_name]
end

-- The inbox of a job that was held. Priority decides among those that are not held: one that was held goes behind
-- whatever waits with less priority, or a tenant with enough important jobs would keep the others out for ever.
local function priority_of_turn(job)
  for _, lower in ipairs({ 'low', 'normal' }) do
    if AHEAD[lower] > AHEAD[job.priority] and has_waiting(inbox_named(job, lower)) then return lower end
  end
  return job.priority
end

-- A held job's turn has come.
local function take_turn(job)
  leave(job)
  queue(job, priority_of_turn)
  event(job, 'job.queued', '{"stage":"' .. job.stage .. '"}')
  write(job)
end

local released = {}

local WITH_TURN = { unpack(STORED) }
WITH_TURN[#WITH_TURN + 1] = 'turn'

-- Gives the turn to the job that it names, if that is still held and there is room; whether it took a free slot.
local function give_turn(held, turn, id, free)
  local job = id and read(id, WITH_TURN)
  if not job or job.state ~= 'held' or job.stored[#WITH_TURN] ~= turn then
    redis.call('ZREM', held, turn)
  elseif unwanted(job) then
    finish_unwanted(job)
  else
    local begun = has_slot(job)
    if begun or free > 0 then
      job.turn = turn
      take_turn(job)
      released[#released + 1] = id
      return not begun
    end
  end
  return false
end

-- Gives turns to a tenant's held jobs of one queue (`<stage>:<lane>`), up to a window and `wanted` hints more.
local function refill(queue_name, tenant, wanted)
  local held = held_by(tenant)
  if redis.call('EXISTS', held) == 0 then return end
  local ready = size(ROOT .. 'ready:' .. queue_name .. ':' .. tenant)
  local room = math.min(window_of(queue_name) + wanted - ready, BOUND)
  if room <= 0 then return end
  local limit = limit_of(tenant)
  local free = limit > 0 and limit - size(slots(tenant)) - ready or room
  local from, met_turns = '[' .. queue_name .. ' ', 0
  repeat
    local turns = redis.call('ZRANGEBYLEX', held, from, '(' .. queue_name .. '!', 'LIMIT', 0, room)
    local before = #released
    for _, turn in ipairs(turns) do
      local order, id = string.match(turn, '^%S+ (%d)%d* (%S+)$')
      if free <= 0 and order == '1' then return end
      local took = apart(id or '', give_turn, held, turn, id, free)
      -- `reconcile` brings it back, and meanwhile it is in nobody's way.
      if took == 'ERROR' then redis.call('ZREM', held, turn) end
      if took == true then free = free - 1 end
    end
    -- What was no turn any more has left its room to those behind it.
    room = room - (#released - before)
    from = #turns > 0 and '(' .. turns[#turns]
    met_turns = met_turns + #turns
  until room <= 0 or not from or met_turns >= BOUND
end

-- The same for all of a tenant's queues.
local function refill_all(tenant)
  local from = '-'
  while from do
    local turn = redis.call('ZRANGEBYLEX', held_by(tenant), from, '+', 'LIMIT', 0, 1)[1]
    local queue_name = turn and string.match(turn, '^%S+')
    if queue_name then refill(queue_name, tenant, 0) end
    from = queue_name and '(' .. queue_name .. '!'
  end
end

-- Gives turns where places came free. `wanted` is shared out: hints that the caller will read at once.
local function give_turns(wanted)
  local queues, tenants = {}, {}
  for place in pairs(vacant) do queues[#queues + 1] = place end
  for tenant in pairs(freed) do tenants[#tenants + 1] = tenant end
  vacant, freed = {}, {}
  for _, place in ipairs(queues) do
    local queue_name, tenant = string.match(place, '^(%S+) (.*)$')
    refill(queue_name, tenant, math.ceil((wanted or 0) / #queues))
  end
  for _, tenant in ipairs(tenants) do
    if limit_of(tenant) > 0 then refill_all(tenant) end
  end
end

-- Until no end of an unwanted job has freed another place.
local function settle(wanted)
  local rounds = 0
  while (next(vacant) or next(freed)) and rounds < 5 do
    give_turns(wanted)
    rounds, wanted = rounds + 1, 0
  end
end
