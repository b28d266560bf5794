-- submit: accepts one job.
--
-- KEYS 9   job:<id>
--      10  idem:<tenant>:<key>, only with an idempotency key
-- ARGV 5   id   6 tenant   7 kind   8 stage   9 lane   10 priority   11 listed (1 or 0)   12 life (ms until the deadline)
--      13  digest of the request   14 life of the idempotency key (ms)   15 spec   16 input   17 refs (JSON array)
-- Replies  {OK, id, state}        accepted
--          {EXISTS, id, state}    this id, or this idempotency key with this digest, was accepted before
--          {CONFLICT, id, state}  the idempotency key belongs to another request
--          an OOM error           Redis is full: nothing was written, since the first write may grow
-- Repeat   the same id answers EXISTS, so a lost reply costs nothing.

local id, tenant, stage, lane, priority = ARGV[5], ARGV[6], ARGV[8], ARGV[9], ARGV[10]
local listed, life, digest, spec, input, refs = ARGV[11], tonumber(ARGV[12]), ARGV[13], ARGV[15], ARGV[16], ARGV[17]

if KEYS[10] then
  local claim = redis.call('GET', KEYS[10])
  if claim then
    local owner, asked = string.match(claim, '^(%S+) (.*)$')
    local job = read(owner)
    return { asked == digest and 'EXISTS' or 'CONFLICT', owner, job and job.state or 'gone' }
  end
end
local known = read(id)
if known then return { 'EXISTS', id, known.state } end

local job = { id = id, key = KEYS[9], tenant = tenant, stage = stage, lane = lane, priority = priority, listed = listed,
  rev = 0, state = 'queued' }
local inbox = inbox_of(job)
redis.call('HSET', KEYS[9], 'v', 1, 'state', 'queued', 'stage', stage, 'lane', lane, 'priority', priority, 'inbox', inbox,
  'fence', '', 'ended', '', 'takes', 0, 'attempt', 0, 'crashes', 0, 'owner', '', 'tenant', tenant, 'kind', ARGV[7],
  'listed', listed, 'parent', '', 'percent', 0, 'deadline', NOW + life, 'cancel', '', 'reason', '', 'created_at', NOW,
  'spec', spec, 'input', input, 'refs', refs)
requeue(job, inbox)
event(job, 'job.queued', '{"stage":"' .. stage .. '"}')
write(job, 'entry', job.entry)
row('active', id, NOW)
row('deadlines', id, NOW + life)
if listed == '1' then redis.call('ZADD', ROOT .. 'jobs:' .. tenant, NOW, id) end
if KEYS[10] then redis.call('SET', KEYS[10], id .. ' ' .. digest, 'PX', ARGV[14]) end
flush()
return { 'OK', id, 'queued' }
