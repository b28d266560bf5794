-- Part `context`: what every verb knows before it looks at a job.
--
-- KEYS 1..8  leases due active deadlines feed pulse epoch dead, all of one partition
-- ARGV 1..4  feed length, pulse length, log length (entries), retention of a terminal job (ms)
-- A verb's own keys start at KEYS[9], its own arguments at ARGV[5].
--
-- A verb checks first and writes afterwards. Rows of the sorted sets and the ends of hints are gathered and written
-- by `flush`, one command per set and stream, because one XDEL or ZADD costs the server nearly as much as fifty.

local GROUP = 'rw'
local BOUND = 100
local ROWS = { leases = KEYS[1], due = KEYS[2], active = KEYS[3], deadlines = KEYS[4] }
local FEED, PULSE, EPOCH, DEAD = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
-- All other names are learned; they share this prefix and so the hash tag of the declared ones.
local ROOT = string.sub(KEYS[1], 1, -#'leases' - 1)
local FEED_LENGTH, PULSE_LENGTH, LOG_LENGTH, RETENTION = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local FIRST = 5

local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local TERMINAL = { completed = true, failed = true, cancelled = true, expired = true }
-- States in which a job waits in an inbox or on its way to one: what `reap` leaves behind for LATE.
local WAITS = { queued = true, held = true, delayed = true }

local STORED = { 'state', 'stage', 'lane', 'priority', 'inbox', 'entry', 'fence', 'ended', 'takes', 'attempt', 'crashes',
  'owner', 'tenant', 'kind', 'listed', 'rev', 'last_event', 'percent', 'deadline', 'cancel', 'reason' }

-- Reads one job, without its bodies; nil when it does not exist.
local function read(id)
  local key = ROOT .. 'job:' .. id
  local values = redis.call('HMGET', key, unpack(STORED))
  if not values[1] then return nil end
  local job = { id = id, key = key }
  for index, name in ipairs(STORED) do job[name] = values[index] or '' end
  for _, name in ipairs({ 'takes', 'attempt', 'crashes', 'rev', 'percent', 'deadline' }) do
    job[name] = tonumber(job[name]) or 0
  end
  return job
end

-- Writes the job's revision and the given fields in one command.
local function write(job, ...)
  redis.call('HSET', job.key, 'rev', job.rev, 'last_event', job.last_event, 'updated_at', NOW, ...)
end

-- The last id that the group of a stream (a key) has delivered; nil when there is no such stream or group.
local function last_delivered(stream)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  for _, group in ipairs(groups.err and {} or groups) do
    local facts = {}
    for field = 1, #group, 2 do facts[group[field]] = group[field + 1] end
    if facts.name == GROUP then return facts['last-delivered-id'] end
  end
  return nil
end

local gathered = { leases = {}, due = {}, active = {}, deadlines = {} }
local hints = {}

-- Gathers one row of leases, due, active or deadlines; `score` false removes it. The last word on a job counts.
local function row(set, id, score) gathered[set][id] = score end

-- Gathers the end of a hint: acknowledged and deleted together, so that an inbox holds what waits and what runs.
local function drop_hint(inbox, entry)
  if entry == '' then return end
  if not hints[inbox] then hints[inbox] = {} end
  hints[inbox][entry] = true
end

-- A write that frees or changes nothing. At maxmemory Redis refuses a script whose first write may grow and allows
-- every later one; a verb that must work on a full Redis begins with this.
local function shrink_first() redis.call('ZREM', ROWS.due, '') end

local function flush()
  for inbox, entries in pairs(hints) do
    local ends = {}
    for entry in pairs(entries) do ends[#ends + 1] = entry end
    if #ends > 0 then
      redis.call('XACK', ROOT .. inbox, GROUP, unpack(ends))
      redis.call('XDEL', ROOT .. inbox, unpack(ends))
    end
  end
  for set, scores in pairs(gathered) do
    local gone, kept = {}, {}
    for id, score in pairs(scores) do
      if score then
        kept[#kept + 1] = score
        kept[#kept + 1] = id
      else
        gone[#gone + 1] = id
      end
    end
    if #gone > 0 then redis.call('ZREM', ROWS[set], unpack(gone)) end
    if #kept > 0 then redis.call('ZADD', ROWS[set], unpack(kept)) end
  end
  hints, gathered = {}, { leases = {}, due = {}, active = {}, deadlines = {} }
end

-- RFC 3339 in UTC with milliseconds; days to a civil date after H. Hinnant, "chrono-compatible low-level date algorithms".
local function timestamp(ms)
  local seconds = math.floor(ms / 1000)
  local days = math.floor(seconds / 86400) + 719468
  local era = math.floor(days / 146097)
  local day_of_era = days - era * 146097
  local year_of_era = math.floor((day_of_era - math.floor(day_of_era / 1460) + math.floor(day_of_era / 36524)
    - math.floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
  local shifted = math.floor((5 * day_of_year + 2) / 153)
  local day = day_of_year - math.floor((153 * shifted + 2) / 5) + 1
  local month = shifted < 10 and shifted + 3 or shifted - 9
  local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day, math.floor(seconds / 3600) % 24,
    math.floor(seconds / 60) % 60, seconds % 60, ms % 1000)
end
