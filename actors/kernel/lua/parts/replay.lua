-- Part `replay`: a job that ended without success begins again.

-- Full budgets, the deadline given, at its stage or at its first one. `pinned` names a quarantine worker's inbox or is ''.
local function begin_again(job, deadline, from_first, pinned)
  local kept = redis.call('HMGET', job.key, 'grave', 'first', 'first_input')
  if pinned ~= '' then job.extra = '1' end
  if kept[1] and kept[1] ~= '' then redis.call('XDEL', ROOT .. 'dead:' .. job.stage, kept[1]) end
  redis.call('ZREM', DEAD, job.id)
  if from_first then
    job.stage, job.lane, job.rescue = string.match(kept[2], '^([^:]+):([^:]+):(.*)$')
    if job.rescue ~= '' then job.extra = '1' end
  end
  job.attempt, job.crashes, job.cancel, job.doomed = 0, 0, '', ''
  job.deadline, job.pinned, job.ended, job.reason = deadline, pinned, 'replay ' .. job.fence, ''
  row('active', job.id, NOW)
  row('deadlines', job.id, deadline)
  event(job, 'job.replayed', '{"stage":"' .. job.stage .. '"}')
  redis.call('HDEL', job.key, 'cancel_requested_at', 'ended_at', 'error', 'grave', 'waited')
  if from_first then redis.call('HSET', job.key, 'input', kept[3], 'refs', '[]') end
  -- A stage that spawns again finds its children there: those without success begin again with it.
  if job.children > 0 then redis.call('HSET', kids_of(job.id), 'revive', 1) end
end

-- A parent that ended while it waited waits again: rows of children without success become `again`, and count as open.
-- Returns how many that are.
local function reopen(parent)
  local key = kids_of(parent.id)
  local rows, open, changes = redis.call('HGETALL', key), 0, { 'revived', 0 }
  for index = 1, #rows, 2 do
    if string.match(rows[index], '^%d+$') and not string.match(rows[index + 1], '^completed ') then
      open = open + 1
      if rows[index + 1] ~= 'open' then
        changes[#changes + 1] = rows[index]
        changes[#changes + 1] = 'again'
      end
    end
  end
  for index = 1, #changes, 1000 do
    redis.call('HSET', key, unpack(changes, index, math.min(index + 999, #changes)))
  end
  redis.call('HSET', key, 'open', open)
  redis.call('HDEL', parent.key, 'kids_failed', 'kids_cancelled', 'kids_expired')
  return open
end

-- A job that ended while it waited for children waits again; the children come after.
local function wait_again(job, deadline)
  begin_again(job, deadline, false, '')
  job.state, job.inbox, job.reason = 'waiting', '', parts_awaited(reopen(job))
  write(job)
end

local function waited(job) return redis.call('HGET', job.key, 'waited') == '1' end

local revive_children

-- A child begins again beside its parent. Its row counts as open already; `credited` is the percent its parent has for it.
local function replay_child(child, parent, credited, pinned)
  redis.call('HSET', kids_of(parent.id), string.match(child.id, '%d+$'), 'open')
  raise(parent, child.percent - credited)
  if waited(child) then
    wait_again(child, parent.deadline)
    revive_children(child)
  else
    begin_again(child, parent.deadline, false, pinned)
    enqueue(child)
    write(child)
  end
end

-- The same, with its row as it stands: one that was closed counts as open again, and had been credited in full.
local function reopen_row(child, parent, pinned)
  local key = kids_of(parent.id)
  local known = redis.call('HGET', key, string.match(child.id, '%d+$'))
  if known ~= 'open' and known ~= 'again' then
    redis.call('HINCRBY', parent.key, 'kids_' .. child.state, -1)
    tell_open(parent, redis.call('HINCRBY', key, 'open', 1))
  end
  replay_child(child, parent, known == 'open' and child.percent or 100, pinned)
end

local revivals = 50

-- Begins again with the next children, fifty a call in all, those of children among them; how many are left to be looked
-- at. `reconcile` goes on where nobody calls again.
function revive_children(parent)
  local key = kids_of(parent.id)
  local from = tonumber(redis.call('HGET', key, 'revived') or parent.children)
  local last = from
  while last < parent.children and revivals > 0 do
    last, revivals = last + 1, revivals - 1
    local known = redis.call('HGET', key, last)
    if known == 'again' or known == 'open' then
      local child = read(parent.id .. '.' .. last)
      if not child then
        redis.call('HSET', key, last, 'open')
        -- Its row was credited in full when it was closed.
        local credited = known == 'again' and 100 or 0
        child_ended({ id = parent.id .. '.' .. last, parent = parent.id, fence = '', percent = credited }, 'failed')
      elseif TERMINAL[child.state] then
        reopen_row(child, parent, '')
      end
    end
  end
  redis.call('HSET', key, 'revived', last)
  return parent.children - last
end
