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

local NOTHING = {}

local function read_extra(job)
  local values = redis.call('HMGET', job.key, unpack(EXTRA))
  job.more = values
  for index = 1, EXTRA_TEXTS do job[EXTRA[index]] = values[index] or '' end
  job.children = tonumber(values[EXTRA_TEXTS + 1] or 0)
end

-- Reads one job, without its bodies; nil when it does not exist or was put aside just now. The values come in the order
-- of STORED; named one by one, since a table that is made in one piece costs the server two thirds of one that grows.
local function read(id)
  local key = ROOT .. 'job:' .. id
  local values = redis.pcall('HMGET', key, unpack(STORED))
  if values.err then return quarantine(id, values.err) end
  if not values[1] then return nil end
  if not KNOWN[values[1]] then return quarantine(id, 'no such state') end
  local job = { id = id, key = key, stored = values, state = values[1], tenant = values[2] or '', kind = values[3] or '',
    listed = values[4] or '', priority = values[5] or '', stage = values[6] or '', lane = values[7] or '',
    inbox = values[8] or '', entry = values[9] or '', fence = values[10] or '', ended = values[11] or '',
    cancel = values[12] or '', reason = values[13] or '', extra = values[14] or '', takes = tonumber(values[15] or 0),
    attempt = tonumber(values[16] or 0), crashes = tonumber(values[17] or 0), rev = tonumber(values[18] or 0),
    percent = tonumber(values[19] or 0), deadline = tonumber(values[20] or 0), more = NOTHING, parent = '', rescue = '',
    pinned = '', on_child_failure = '', doomed = '', children = 0 }
  if job.extra ~= '' then read_extra(job) end
  if not (job.takes and job.attempt and job.crashes and job.rev and job.percent and job.deadline and job.children) then
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
