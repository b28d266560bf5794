-- Part `context`: what every verb knows before it looks at a job.
--
-- KEYS 1..8  leases due active deadlines feed pulse epoch dead, all of one partition
-- ARGV 1..6  feed length, pulse length, log length (entries), retention of a terminal job (ms), window (hints that one
--            tenant may have in the priority inboxes of one stage and lane, at least), limit (slots of a tenant, 0: no limit)
-- A verb's own keys start at KEYS[9], its own arguments at ARGV[7].
--
-- A verb checks first and writes afterwards. Rows of the sorted sets, members of the sets and the ends of hints are
-- gathered and written by `flush`, one command per key, because one XDEL or ZADD costs the server nearly as much as fifty.

local GROUP = 'rw'
local BOUND = 100
local ROWS = { leases = KEYS[1], due = KEYS[2], active = KEYS[3], deadlines = KEYS[4] }
local FEED, PULSE, EPOCH, DEAD = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
-- All other names are learned; they share this prefix and so the hash tag of the declared ones.
local ROOT = string.sub(KEYS[1], 1, -#'leases' - 1)
local FEED_LENGTH, PULSE_LENGTH, LOG_LENGTH, RETENTION = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local WINDOW, LIMIT = tonumber(ARGV[5]), tonumber(ARGV[6])
local FIRST = 7

local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local TERMINAL = { completed = true, failed = true, cancelled = true, expired = true }
-- States in which a job waits for a worker: what `reap` leaves behind for LATE.
local WAITS = { queued = true, held = true, delayed = true }
local KNOWN = { queued = true, held = true, delayed = true, running = true, waiting = true,
  completed = true, failed = true, cancelled = true, expired = true }
-- Lost leases of one stage after which a job runs in a worker of its own.
local SUSPECT = 2

-- What a verb reads of every job: texts, then numbers. Absent fields read as '' and 0.
local STORED = { 'state', 'tenant', 'kind', 'listed', 'priority', 'stage', 'lane', 'inbox', 'entry', 'fence', 'ended',
  'cancel', 'reason', 'extra', 'takes', 'attempt', 'crashes', 'rev', 'percent', 'deadline' }
local TEXTS = 14
-- What it reads beside that of a job whose `extra` is set: children and parents, those that may change the lane, and
-- those that were replayed to a quarantine worker.
local EXTRA = { 'parent', 'rescue', 'pinned', 'on_child_failure', 'doomed', 'children' }
local EXTRA_TEXTS = 5

-- Parts call each other in both directions: a child's end may queue or end its parent, whose end ends its children.
local enqueue, finish, child_ended, end_children, raise

local gathered = { leases = {}, due = {}, active = {}, deadlines = {} }
local hints = {}
local sets, cards = {}, {}

-- Gathers one row of leases, due, active or deadlines; `score` false removes it. The last word on a job counts.
local function row(set, id, score) gathered[set][id] = score end

-- Gathers whether `id` belongs to the set at `key`; the last word counts. Unless it is `asked` of Redis, the first word is
-- taken to change something.
local function member(key, id, belongs, asked)
  if not sets[key] then sets[key] = {} end
  local known = sets[key][id]
  if not known then
    local before = not belongs
    if asked then before = redis.call('SISMEMBER', key, id) == 1 end
    known = { before = before }
    sets[key][id] = known
  end
  known.belongs = belongs
end

-- Size of the set at `key` with what is gathered.
local function size(key)
  if not cards[key] then cards[key] = redis.call('SCARD', key) end
  local count = cards[key]
  for _, known in pairs(sets[key] or {}) do
    count = count + (known.belongs and 1 or 0) - (known.before and 1 or 0)
  end
  return count
end

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
  for key, members in pairs(sets) do
    local gone, kept = {}, {}
    for id, known in pairs(members) do
      if known.belongs then kept[#kept + 1] = id else gone[#gone + 1] = id end
    end
    if #gone > 0 then redis.call('SREM', key, unpack(gone)) end
    if #kept > 0 then redis.call('SADD', key, unpack(kept)) end
  end
  hints, gathered, sets, cards = {}, { leases = {}, due = {}, active = {}, deadlines = {} }, {}, {}
end

local function changed(job, names, texts, values, fields)
  for index, name in ipairs(names) do
    local value, before = job[name], values[index] or (index <= texts and '' or 0)
    if index > texts then before = tonumber(before) end
    if value ~= before then
      fields[#fields + 1] = name
      fields[#fields + 1] = name == 'percent' and tostring(value) or value
    end
  end
end

-- Writes what changed since the job was read, and the given fields, in one command; after an event.
local function write(job, ...)
  local fields = { 'last_event', job.last_event, 'updated_at', NOW, ... }
  changed(job, STORED, TEXTS, job.stored, fields)
  if job.extra ~= '' then changed(job, EXTRA, EXTRA_TEXTS, job.more, fields) end
  if job.state == 'held' then
    fields[#fields + 1] = 'turn'
    fields[#fields + 1] = job.turn
  end
  redis.call('HSET', job.key, unpack(fields))
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

-- Whether entry id `one` is greater than `other`.
local function is_after(one, other)
  local ms, sequence = string.match(one, '^(%d+)-(%d+)$')
  local other_ms, other_sequence = string.match(other, '^(%d+)-(%d+)$')
  ms, other_ms = tonumber(ms), tonumber(other_ms)
  return ms > other_ms or (ms == other_ms and tonumber(sequence) > tonumber(other_sequence))
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
