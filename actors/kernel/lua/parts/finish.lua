-- Part `finish`: the only way into a terminal state.

local DELIVERIES = 20

-- One `notify` job per endpoint of the tenant that wants this event. A delivery is a job like others with budgets and
-- a deadline of its own; it is unlisted, so it appears in no feed and creates no delivery itself.
local function deliver(job, kind, data, entry)
  local hooks = redis.call('HGETALL', ROOT .. 'hooks:' .. job.tenant)
  if #hooks == 0 then return end
  local epoch = redis.call('GET', EPOCH) or ''
  local envelope = '{"id":"' .. epoch .. '.' .. entry .. '","type":"' .. kind .. '","job":"' .. job.id .. '","rev":'
    .. job.rev .. ',"at":"' .. timestamp(NOW) .. '","data":' .. data .. '}'
  local count = 0
  for index = 1, #hooks, 2 do
    local name, readable, hook = hooks[index], pcall(cjson.decode, hooks[index + 1])
    if readable and hook.events and hook.events[kind] and count < DELIVERIES then
      count = count + 1
      local id = job.id .. '.e' .. job.rev .. '.' .. count
      local inbox = 'in:notify:cpu:normal'
      local delivery = { id = id, key = ROOT .. 'job:' .. id, tenant = job.tenant, listed = '0', rev = 0 }
      event(delivery, 'job.queued', '{"stage":"notify"}')
      local hint = redis.call('XADD', ROOT .. inbox, '*', 'job', id)
      local deadline = NOW + hook.deadline_ms
      write(delivery, 'v', 1, 'state', 'queued', 'stage', 'notify', 'lane', 'cpu', 'priority', 'normal', 'inbox', inbox,
        'entry', hint, 'fence', '', 'ended', '', 'takes', 0, 'attempt', 0, 'crashes', 0, 'owner', '', 'tenant', job.tenant,
        'kind', 'delivery', 'listed', '0', 'parent', '', 'percent', 0, 'deadline', deadline, 'cancel', '', 'reason', '',
        'spec', '{}', 'refs', '[]', 'created_at', NOW, 'input', '{"endpoint":' .. cjson.encode(name) .. ',"url":'
        .. cjson.encode(hook.url) .. ',"event":' .. envelope .. '}')
      row('active', id, NOW)
      row('deadlines', id, deadline)
    end
  end
end

-- Ends the job for good. `verb` names the transition, `state` the end, `kind` and `data` its event; further fields
-- (result, error) are written with it.
local function finish(job, verb, state, kind, data, ...)
  end_lease(job, verb)
  row('active', job.id, false)
  row('deadlines', job.id, NOW + RETENTION)
  local entry = event(job, kind, data)
  if job.listed == '1' then deliver(job, kind, data, entry) end
  local grave = ''
  if state == 'failed' then
    grave = redis.call('XADD', ROOT .. 'dead:' .. job.stage, '*', 'job', job.id, 'tenant', job.tenant, 'attempt',
      job.attempt, 'crashes', job.crashes, 'owner', job.owner, 'fence', job.fence, 'data', data)
    redis.call('ZADD', DEAD, NOW, job.id)
  end
  job.state = state
  write(job, 'state', state, 'entry', '', 'ended', job.ended, 'ended_at', NOW, 'reason', '', 'attempt', job.attempt,
    'crashes', job.crashes, 'grave', grave, ...)
end

local function finish_cancelled(job)
  -- `ended` names the cancel, not the verb that met it, so that a repeat of that verb is answered CANCELLED again.
  finish(job, 'cancel', 'cancelled', 'job.cancelled', '{"by":' .. cjson.encode(job.cancel) .. '}')
end

local function finish_expired(job)
  finish(job, 'expire', 'expired', 'job.expired', '{"deadline":"' .. timestamp(job.deadline) .. '"}')
end
