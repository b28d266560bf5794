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

-- Whole numbers as texts, each formatted once a call: Redis formats a number anew wherever one is passed to it.
local text_of = setmetatable({}, { __index = function(known, number)
  known[number] = string.format('%.0f', number)
  return known[number]
end })
local NOW_TEXT = text_of[NOW]

local NOTHING = {}
local TERMINAL = { completed = true, failed = true, cancelled = true, expired = true }
-- States in which a job waits for a worker: what `reap` leaves behind for LATE.
local WAITS = { queued = true, held = true, delayed = true }
local KNOWN = { queued = true, held = true, delayed = true, running = true, waiting = true,
  completed = true, failed = true, cancelled = true, expired = true }
-- Lost leases of one stage after which a job runs in a worker of its own.
local SUSPECT = 2

-- What a verb reads of every job. Absent fields read as '' and 0.
local STORED = { 'state', 'stage', 'lane', 'inbox', 'entry', 'fence', 'ended', 'reason', 'extra', 'takes', 'percent', 'deadline',
  'rev', 'tenant', 'kind', 'listed', 'priority' }
-- What it reads beside that of a job whose `extra` is set: one that was cancelled, has failed or lost a worker, has children
-- or a parent, may change the lane, or was replayed to a quarantine worker.
local EXTRA = { 'cancel', 'parent', 'rescue', 'pinned', 'on_child_failure', 'doomed', 'attempt', 'crashes', 'children' }
local EXTRA_TEXTS = 6
-- What every other job has there. Whoever gives one of them a value sets `extra` with it.
local ORDINARY = { __index = { cancel = '', parent = '', rescue = '', pinned = '', on_child_failure = '', doomed = '', attempt = 0,
  crashes = 0, children = 0, more = { '', '', '', '', '', '', 0, 0, 0 } } }

-- Parts call each other in both directions: a child's end may queue or end its parent, whose end ends its children.
local enqueue, finish, child_ended, end_children, raise

local gathered = { leases = {}, due = {}, active = {}, deadlines = {} }
local hints = {}
-- Whether this call has written to the feed.
local fed = false
-- Of sets: members by key, sizes before the call, and by how much they grow.
local sets, cards, grown = {}, {}, {}

-- Gathers one row of leases, due, active or deadlines; `score` false removes it. The last word on a job counts.
local function row(set, id, score) gathered[set][id] = score end

-- Gathers whether `id` belongs to the set at `key`; the last word counts. Unless it is `asked` of Redis, the first word is
-- taken to change something.
local function member(key, id, belongs, asked)
  local members = sets[key]
  if not members then
    members = {}
    sets[key], grown[key] = members, 0
  end
  local before = members[id]
  if before == nil then
    before = not belongs
    if asked then before = redis.call('SISMEMBER', key, id) == 1 end
  end
  if belongs ~= before then grown[key] = grown[key] + (belongs and 1 or -1) end
  members[id] = belongs
end

-- Size of the set at `key` with what is gathered.
local function size(key)
  if not cards[key] then cards[key] = redis.call('SCARD', key) end
  return cards[key] + (grown[key] or 0)
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
    for id, belongs in pairs(members) do
      if belongs then kept[#kept + 1] = id else gone[#gone + 1] = id end
    end
    if #gone > 0 then redis.call('SREM', key, unpack(gone)) end
    if #kept > 0 then redis.call('SADD', key, unpack(kept)) end
  end
  if fed then redis.call('XTRIM', FEED, 'MAXLEN', '~', FEED_LENGTH) end
  hints, gathered = {}, { leases = {}, due = {}, active = {}, deadlines = {} }
  sets, cards, grown = {}, {}, {}
end

local function whole(number) return number % 1 == 0 and text_of[number] or tostring(number) end

-- Used anew by every `write`: a table that is made and grows costs the server more than what is put into it.
local fields = {}

local function add_extra(job, count)
  for index, name in ipairs(EXTRA) do
    local value = job[name]
    if value ~= job.more[index] then
      fields[count + 1], fields[count + 2] = name, index > EXTRA_TEXTS and text_of[value] or value
      count = count + 2
    end
  end
  return count
end

-- Writes what changed since the job was read, and the given fields (seven at most), in one command; after an event. A line
-- for each field: a loop over their names costs the server as much as reading the job.
local function write(job, ...)
  local stored, count = job.stored, select('#', ...)
  fields[1], fields[2], fields[3], fields[4], fields[5], fields[6], fields[7], fields[8], fields[9], fields[10], fields[11],
    fields[12], fields[13], fields[14] = ...
  fields[count + 1], fields[count + 2], fields[count + 3], fields[count + 4], fields[count + 5], fields[count + 6] = 'rev',
    text_of[job.rev], 'last_event', job.last_event, 'updated_at', NOW_TEXT
  count = count + 6
  if job.state ~= stored[1] then fields[count + 1], fields[count + 2], count = 'state', job.state, count + 2 end
  if job.stage ~= stored[2] then fields[count + 1], fields[count + 2], count = 'stage', job.stage, count + 2 end
  if job.lane ~= stored[3] then fields[count + 1], fields[count + 2], count = 'lane', job.lane, count + 2 end
  if job.inbox ~= (stored[4] or '') then fields[count + 1], fields[count + 2], count = 'inbox', job.inbox, count + 2 end
  if job.entry ~= (stored[5] or '') then fields[count + 1], fields[count + 2], count = 'entry', job.entry, count + 2 end
  if job.fence ~= (stored[6] or '') then fields[count + 1], fields[count + 2], count = 'fence', job.fence, count + 2 end
  if job.ended ~= (stored[7] or '') then fields[count + 1], fields[count + 2], count = 'ended', job.ended, count + 2 end
  if job.reason ~= (stored[8] or '') then fields[count + 1], fields[count + 2], count = 'reason', job.reason, count + 2 end
  if job.extra ~= (stored[9] or '') then fields[count + 1], fields[count + 2], count = 'extra', job.extra, count + 2 end
  if job.takes ~= tonumber(stored[10] or 0) then
    fields[count + 1], fields[count + 2], count = 'takes', text_of[job.takes], count + 2
  end
  if job.percent ~= tonumber(stored[11] or 0) then
    fields[count + 1], fields[count + 2], count = 'percent', whole(job.percent), count + 2
  end
  if job.deadline ~= tonumber(stored[12] or 0) then
    fields[count + 1], fields[count + 2], count = 'deadline', text_of[job.deadline], count + 2
  end
  if job.extra ~= '' then count = add_extra(job, count) end
  if job.state == 'held' then fields[count + 1], fields[count + 2], count = 'turn', job.turn, count + 2 end
  for index, given in ipairs(job.birth or NOTHING) do fields[count + index] = given end
  redis.call('HSET', job.key, unpack(fields, 1, count + #(job.birth or NOTHING)))
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
