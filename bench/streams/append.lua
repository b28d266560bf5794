-- Appends to jobs as the kernel does (actors/kernel/lua/parts/event.lua), at a fraction of what a transition costs.
-- Each carries the moment of this call in microseconds.
--
-- KEYS     feed pulse epoch
-- ARGV     kind (event, pulse or own), tenant, lengths of feed, pulse and log, padding of an event's data, jobs

local FEED, PULSE, EPOCH = KEYS[1], KEYS[2], KEYS[3]
local ROOT = string.sub(FEED, 1, -#'feed' - 1)
local kind, tenant, feed_length, pulse_length, log_length, padding = unpack(ARGV, 1, 6)
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
local sent_us = string.format('%.0f', clock[1] * 1000000 + clock[2])

local function body(job, rev)
  return '"type":"job.stage","job":"' .. job .. '","rev":' .. rev .. ',"at":' .. now
    .. ',"data":{"done":"fetch","next":"transcode","sent_us":' .. sent_us .. padding .. '}}'
end

local function event(job)
  local key, log = ROOT .. 'job:' .. job, ROOT .. 'log:' .. job
  local rev = string.format('%.0f', redis.call('HGET', key, 'rev') + 1)
  local said = body(job, rev)
  local entry = redis.call('XADD', FEED, '*', tenant, '{' .. said)
  redis.call('RPUSH', log, '{"id":"' .. entry .. '",' .. said)
  if tonumber(rev) > tonumber(log_length) then redis.call('LTRIM', log, -log_length, -1) end
  redis.call('HSET', key, 'rev', rev, 'last_event', entry, 'updated_at', now)
end

local function pulse(job)
  local key = ROOT .. 'job:' .. job
  local known = redis.call('HMGET', key, 'rev', 'percent')
  local percent = tostring(math.min(99, (known[2] or 0) + 0.01))
  local progress = '{"stage":"transcode","eta_s":12.5,"speed":8.25,"bytes_done":' .. sent_us .. ',"bytes_total":null}'
  redis.call('HSET', key, 'percent', percent, 'progress', progress, 'updated_at', now)
  redis.call('XADD', PULSE, 'MAXLEN', '~', pulse_length, '*', 'job', job, 'tenant', tenant, 'rev', known[1],
    'at', now, 'percent', percent, 'progress', progress, 'reason', '')
end

-- For the plain handler: a stream for each job.
local function own(job)
  redis.call('XADD', 'plain:' .. job, 'MAXLEN', '~', log_length, '*', 'event', '{' .. body(job, 1))
end

local append = kind == 'event' and event or kind == 'pulse' and pulse or own
for place = 7, #ARGV do append(ARGV[place]) end
if kind == 'event' then redis.call('XTRIM', FEED, 'MAXLEN', '~', feed_length) end
return redis.call('EXISTS', EPOCH)
