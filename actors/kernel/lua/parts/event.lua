-- Part `event`: one durable event, under one id, in the job's log and in the partition's feed.

-- Appends event `kind` with the JSON object `data`. The caller writes rev and last_event (`write`) in its own HSET.
-- An unlisted job (a chunk, a delivery) keeps its log and stays out of the feed. Returns the entry id.
local function event(job, kind, data)
  job.rev = job.rev + 1
  local entry
  if job.listed == '1' then
    local fields = { 'job', job.id, 'tenant', job.tenant, 'type', kind, 'rev', job.rev, 'at', NOW, 'data', data }
    entry = redis.call('XADD', FEED, 'NOMKSTREAM', 'MAXLEN', '~', FEED_LENGTH, '*', unpack(fields))
    if not entry then
      -- A feed that was lost comes back under a new identity, so that no old cursor is taken for a place in it.
      redis.call('SET', EPOCH, string.format('%x', NOW))
      entry = redis.call('XADD', FEED, '*', unpack(fields))
    end
  else
    entry = NOW .. '-' .. job.rev
  end
  job.last_event = entry
  local log = ROOT .. 'log:' .. job.id
  redis.call('RPUSH', log, '{"id":"' .. entry .. '","type":"' .. kind .. '","job":"' .. job.id .. '","rev":' .. job.rev
    .. ',"at":' .. NOW .. ',"data":' .. data .. '}')
  if job.rev > LOG_LENGTH then redis.call('LTRIM', log, -LOG_LENGTH, -1) end
  return entry
end

-- Progress: never replayed, without an id, under the revision it was made in.
local function pulse(job, progress, reason)
  if job.listed ~= '1' then return end
  redis.call('XADD', PULSE, 'MAXLEN', '~', PULSE_LENGTH, '*', 'job', job.id, 'tenant', job.tenant, 'rev', job.rev,
    'at', NOW, 'percent', tostring(job.percent), 'progress', progress, 'reason', reason)
end
