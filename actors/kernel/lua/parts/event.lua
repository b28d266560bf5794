-- Part `event`: one durable event, under one id, in the job's log and in the partition's feed.

-- Appends to the feed, under the tenant's name, the event as the log has it, but without its id, which is the entry's. `flush`
-- trims.
local function feed(job, body)
  if not fed and redis.call('EXISTS', FEED) == 0 then
    -- A feed that was lost comes back under a new identity, so that no old cursor is taken for a place in it.
    redis.call('SET', EPOCH, string.format('%x', NOW))
  end
  fed = true
  return redis.call('XADD', FEED, '*', job.tenant, '{' .. body)
end

-- Appends event `kind` with the JSON object `data`. The caller writes rev and last_event (`write`) in its own HSET.
-- An unlisted job (a chunk, a delivery) keeps its log and stays out of the feed. `another` follows in this call, and goes
-- into the log with this one. Returns the entry id.
local function event(job, kind, data, another)
  job.rev = job.rev + 1
  local rev = text_of[job.rev]
  local body = '"type":"' .. kind .. '","job":"' .. job.id .. '","rev":' .. rev .. ',"at":' .. NOW_TEXT .. ',"data":' .. data .. '}'
  local entry = job.listed == '1' and feed(job, body) or NOW_TEXT .. '-' .. rev
  job.last_event = entry
  local log = ROOT .. 'log:' .. job.id
  local line = '{"id":"' .. entry .. '",' .. body
  if another then
    job.unlogged = line
  elseif job.unlogged then
    redis.call('RPUSH', log, job.unlogged, line)
  else
    redis.call('RPUSH', log, line)
  end
  if job.rev > LOG_LENGTH then redis.call('LTRIM', log, -LOG_LENGTH, -1) end
  return entry
end

-- Progress: never replayed, without an id, under the revision it was made in.
local function pulse(job, progress, reason)
  if job.listed ~= '1' then return end
  redis.call('XADD', PULSE, 'MAXLEN', '~', PULSE_LENGTH, '*', 'job', job.id, 'tenant', job.tenant, 'rev', text_of[job.rev],
    'at', NOW_TEXT, 'percent', tostring(job.percent), 'progress', progress, 'reason', reason)
end
