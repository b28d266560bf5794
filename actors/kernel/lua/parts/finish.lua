-- Part `finish`: the only way into a terminal state.

local DELIVERIES = 20
-- Deliveries of one call after which a pass over rows stops; the rest is for the next call.
local MANY_DELIVERIES = 200
local deliveries = 0
local hooks_of = {}

-- One `notify` job per endpoint of the tenant that wants this event. A delivery is a job like others with budgets and
-- a deadline of its own; it is unlisted, so it appears in no feed and creates no delivery itself.
local function deliver(job, kind, data, entry)
  local hooks = hooks_of[job.tenant] or redis.call('HGETALL', ROOT .. 'hooks:' .. job.tenant)
  hooks_of[job.tenant] = hooks
  if #hooks == 0 then return end
  local epoch = redis.call('GET', EPOCH) or ''
  local envelope = '{"id":"' .. epoch .. '.' .. entry .. '","type":"' .. kind .. '","job":"' .. job.id .. '","rev":'
    .. job.rev .. ',"at":"' .. timestamp(NOW) .. '","data":' .. data .. '}'
  local count = 0
  for index = 1, #hooks, 2 do
    local name, readable, hook = hooks[index], pcall(cjson.decode, hooks[index + 1])
    if readable and hook.events and hook.events[kind] and count < DELIVERIES then
      count, deliveries = count + 1, deliveries + 1
      local id = job.id .. '.e' .. job.rev .. '.' .. count
      local delivery = newborn(id, { tenant = job.tenant, kind = 'delivery', stage = 'notify', lane = 'cpu', rescue = '',
        priority = 'normal', listed = '0', parent = '', deadline = NOW + hook.deadline_ms })
      create(delivery, '{}', '{"endpoint":' .. cjson.encode(name) .. ',"url":' .. cjson.encode(hook.url)
        .. ',"event":' .. envelope .. '}', '[]')
      enqueue(delivery, 'job.queued', '{"stage":"notify"}')
      write(delivery)
    end
  end
end

-- A dead letter: what the job spent its budgets on, and an index by time. `why` is the class of the last error,
-- crash_loop or child.
local function bury(job, why, data)
  redis.call('ZADD', DEAD, NOW, job.id)
  local owner = redis.call('HGET', job.key, 'owner') or ''
  return redis.call('XADD', ROOT .. 'dead:' .. job.stage, '*', 'job', job.id, 'tenant', job.tenant, 'why', why,
    'attempt', job.attempt, 'crashes', job.crashes, 'owner', owner, 'fence', job.fence, 'data', data)
end

-- Ends the job for good. `verb` names the transition, `state` the end, `kind` and `data` its event; `why` is for the dead
-- letter of a failed one. Further fields (result, error) are written with it.
function finish(job, verb, state, kind, data, why, ...)
  local waited = job.state == 'waiting'
  end_lease(job, verb)
  leave_slot(job)
  row('active', job.id, false)
  row('deadlines', job.id, text_of[NOW + RETENTION])
  local entry = event(job, kind, data)
  if job.listed == '1' then deliver(job, kind, data, entry) end
  if state == 'failed' then redis.call('HSET', job.key, 'grave', bury(job, why, data)) end
  if waited then redis.call('HSET', job.key, 'waited', 1) end
  job.state, job.reason = state, ''
  parents[job.id] = false
  write(job, 'ended_at', NOW_TEXT, ...)
  end_children(job)
  if job.parent ~= '' then apart(job.parent, child_ended, job, state) end
end

local function finish_expired(job)
  finish(job, 'expire', 'expired', 'job.expired', '{"deadline":"' .. timestamp(job.deadline) .. '"}')
end

-- Ends a job that is not wanted any more. `ended` names the cancel, not the verb that met it, so that a repeat of that
-- verb is answered CANCELLED again.
local function finish_unwanted(job)
  if job.cancel ~= '' then
    finish(job, 'cancel', 'cancelled', 'job.cancelled', '{"by":' .. cjson.encode(job.cancel) .. '}')
  elseif job.doomed ~= '' then
    local failure = '{"code":"CHILD_FAILED","message":"A part of this job failed.","suggestion":"Look at the part that '
      .. 'failed for the reason.","retryable":true,"child":' .. cjson.encode(job.doomed) .. '}'
    finish(job, 'cancel', 'failed', 'job.failed', '{"error":' .. failure .. '}', 'child', 'error', failure)
  else
    finish(job, 'cancel', 'cancelled', 'job.cancelled', '{"by":"parent"}')
  end
end
