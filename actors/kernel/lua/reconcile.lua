-- reconcile: repairs what the job hash says against what the streams and sets hold; one page of `active` a call.
--
-- ARGV 5  cursor ('0' starts a round)   6 lease (ms)
-- Reply   {next cursor ('0' ends the round), id, repair, …} with repair hint | lease | due | deadline | row
-- Repeat  harmless.
--
-- Hints may be lost with their entry, their group or their stream. A queued job needs an entry that exists and that the
-- group has not delivered yet: `take` delivers and grants in one script, so a delivered entry of a queued job is a ghost.

local page = redis.call('ZSCAN', ROWS.active, ARGV[5], 'COUNT', BOUND)
local lease = tonumber(ARGV[6])
local repairs = { page[1] }
local delivered = {}
shrink_first()

local function repaired(id, what)
  repairs[#repairs + 1] = id
  repairs[#repairs + 1] = what
end

local function numbers(entry)
  local ms, sequence = string.match(entry, '^(%d+)-(%d+)$')
  return { tonumber(ms), tonumber(sequence) }
end

-- The place of an inbox's group, asked once a call.
local function place(inbox)
  if not delivered[inbox] then delivered[inbox] = numbers(last_delivered(ROOT .. inbox) or '0-0') end
  return delivered[inbox]
end

-- Whether the job's entry is there and names this job: a stream that was lost may give old ids to new hints.
local function has_entry(job)
  if job.entry == '' then return false end
  local found = redis.call('XRANGE', ROOT .. job.inbox, job.entry, job.entry)
  return #found == 1 and found[1][2][2] == job.id
end

local function was_delivered(job)
  local entry, last = numbers(job.entry), place(job.inbox)
  return entry[1] < last[1] or (entry[1] == last[1] and entry[2] <= last[2])
end

local function renew_hint(job)
  local known = has_entry(job)
  if known and not was_delivered(job) then return end
  if known then drop_hint(job.inbox, job.entry) end
  requeue(job, job.inbox)
  redis.call('HSET', job.key, 'entry', job.entry)
  repaired(job.id, 'hint')
end

local function repair(id)
  local job = read(id)
  if not job or TERMINAL[job.state] then
    row('active', id, false)
    return repaired(id, 'row')
  end
  if not redis.call('ZSCORE', ROWS.deadlines, id) then
    row('deadlines', id, job.deadline)
    repaired(id, 'deadline')
  end
  if job.state == 'queued' then
    renew_hint(job)
  elseif job.state == 'running' and not redis.call('ZSCORE', ROWS.leases, id) then
    row('leases', id, NOW + lease)
    repaired(id, 'lease')
  elseif job.state == 'delayed' and not redis.call('ZSCORE', ROWS.due, id) then
    row('due', id, NOW)
    repaired(id, 'due')
  end
end

-- Once a round: a feed whose epoch alone was lost would be without an identity for ever.
if ARGV[5] == '0' then redis.call('SET', EPOCH, string.format('%x', NOW), 'NX') end
for index = 1, #page[2], 2 do repair(page[2][index]) end
flush()
return repairs
