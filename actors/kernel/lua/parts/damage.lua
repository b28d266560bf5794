-- Part `damage`: items are independent. What one job's broken data does to it must not reach the others of its call.

-- Puts a job aside whose hash cannot be read: out of every ledger, its data kept for the operator under another name
-- for as long as a terminal job would be. A parent hears of it as of a failure.
local function quarantine(id, why)
  shrink_first()
  for set in pairs(ROWS) do row(set, id, false) end
  local kept = ROOT .. 'quarantined:' .. id
  redis.call('RENAME', ROOT .. 'job:' .. id, kept)
  for _, key in ipairs({ kept, ROOT .. 'log:' .. id, ROOT .. 'kids:' .. id }) do redis.call('PEXPIRE', key, RETENTION) end
  local said = redis.pcall('HMGET', kept, 'tenant', 'inbox', 'entry')
  if said[1] then redis.call('ZREM', ROOT .. 'jobs:' .. said[1], id) end
  if said[2] and said[3] then drop_hint(said[2], said[3]) end
  redis.call('SET', ROOT .. 'quarantined:why:' .. id, why, 'PX', RETENTION)
  redis.call('ZADD', ROOT .. 'quarantine', NOW, id)
  redis.log(redis.LOG_WARNING, 'reelway: job ' .. id .. ' is quarantined: ' .. why)
  local parent = string.match(id, '^(.*)%.%d+$')
  if parent then child_ended({ id = id, parent = parent, fence = '', percent = 0 }, 'failed') end
end

-- Reads what only some jobs have; false where a number is none.
local function read_extra(job)
  local values = redis.call('HMGET', job.key, unpack(EXTRA))
  for index, name in ipairs(EXTRA) do
    local value = values[index]
    if index > EXTRA_TEXTS then value = tonumber(value or 0) end
    if index > EXTRA_TEXTS and not value then return false end
    job[name], values[index] = value or '', value or ''
  end
  job.more = values
  return true
end

-- Reads one job; nil when it does not exist or was put aside just now. `names` are STORED and what else is wanted, which
-- is then in `stored` behind them. A line that names every field, since a table that is made in one piece costs the server
-- two thirds of one that grows.
local function read(id, names)
  local key = ROOT .. 'job:' .. id
  local values = redis.pcall('HMGET', key, unpack(names or STORED))
  if values.err then return quarantine(id, values.err) end
  if not values[1] then return nil end
  if not KNOWN[values[1]] then return quarantine(id, 'no such state') end
  local job = setmetatable({ id = id, key = key, stored = values, state = values[1], stage = values[2] or '',
    lane = values[3] or '', inbox = values[4] or '', entry = values[5] or '', fence = values[6] or '', ended = values[7] or '',
    reason = values[8] or '', extra = values[9] or '', takes = tonumber(values[10] or 0), percent = tonumber(values[11] or 0),
    deadline = tonumber(values[12] or 0), rev = tonumber(values[13] or 0), tenant = values[14] or '', kind = values[15] or '',
    listed = values[16] or '', priority = values[17] or '' }, ORDINARY)
  if not (job.takes and job.percent and job.deadline and job.rev) or (job.extra ~= '' and not read_extra(job)) then
    return quarantine(id, 'a number is not one')
  end
  if job.deadline == 0 or job.tenant == '' then return quarantine(id, 'fields are missing') end
  return job
end

-- A key of the job's own that holds something else is put aside; true when there was one.
local function put_aside(id)
  local found = false
  for name, kind in pairs({ log = 'list', kids = 'hash' }) do
    local key = ROOT .. name .. ':' .. id
    local held = redis.call('TYPE', key).ok
    if held ~= kind and held ~= 'none' then
      redis.call('RENAME', key, ROOT .. 'quarantined:' .. name .. ':' .. id)
      redis.call('PEXPIRE', ROOT .. 'quarantined:' .. name .. ':' .. id, RETENTION)
      found = true
    end
  end
  return found
end

-- When a row whose job answers an error is looked at again, so that it does not keep the others from being seen.
local POSTPONED_MS = 60000

-- Does `work(…)` for the job `id`; what it returns, or 'ERROR'. An error does not roll back what was written before it,
-- and a job's hash is written last, so the work is begun once more from what the hash says.
local function apart(id, work, ...)
  local fine, answer = pcall(work, ...)
  if not fine and put_aside(id) then fine, answer = pcall(work, ...) end
  if fine then return answer end
  redis.log(redis.LOG_WARNING, 'reelway: job ' .. id .. ': ' .. tostring(type(answer) == 'table' and answer.err or answer))
  return 'ERROR'
end
