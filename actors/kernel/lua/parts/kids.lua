-- Part `kids`: parents and children. kids:<parent> holds a row for each child (number -> `open`, or its end state and the
-- fence under which it ended, which names its result), and the fields
--   open         rows that are open: written where a row opens or closes, with it
--   sum          percent of all children added up; an ended child counts 100
--   base, reach  percent of the parent when it began to wait, and when all children will have ended
--
-- The parent's hash counts the rows that closed, by their end: kids_completed, kids_failed, kids_cancelled, kids_expired.

local ENDINGS = 50
local PAGE = 500
local PAGES = 20

local function kids_of(id) return ROOT .. 'kids:' .. id end

local credit

-- Why a parent waits: `open` of its children have not ended.
local function parts_awaited(open)
  return '{"code":"CHILDREN_AWAITED","message":"' .. text_of[open] .. (open == 1 and ' of its parts is' or ' of its parts are')
    .. ' still being worked on."}'
end

-- Says so anew while it waits.
local function tell_open(parent, open)
  if parent.state ~= 'waiting' or open <= 0 then return end
  parent.reason = parts_awaited(open)
  redis.call('HSET', parent.key, 'reason', parent.reason)
end

-- The parent's percent follows its children while it waits; watchers hear of every half percent.
function raise(parent, delta)
  local key = kids_of(parent.id)
  local sum = tonumber(redis.call('HINCRBYFLOAT', key, 'sum', tostring(delta)))
  if parent.state ~= 'waiting' or parent.children == 0 then return end
  local bounds = redis.call('HMGET', key, 'base', 'reach')
  local base, reach = tonumber(bounds[1] or 0), tonumber(bounds[2] or 0)
  local before = parent.percent
  local reached = math.min(base + (reach - base) * sum / (100 * parent.children), reach)
  if reached <= before then return end
  parent.percent = reached
  redis.call('HSET', parent.key, 'percent', tostring(reached), 'updated_at', NOW)
  if math.floor(reached * 2) > math.floor(before * 2) then pulse(parent, '{}', parent.reason) end
  credit(parent, reached - before)
end

-- A child came further by `delta` percent.
function credit(child, delta)
  if child.parent == '' or delta <= 0 then return end
  local parent = read(child.parent)
  if parent and not TERMINAL[parent.state] then raise(parent, delta) end
end

-- All children have ended: the parent's next stage is queued.
local function wake(parent)
  enqueue(parent, 'job.queued', '{"stage":"' .. parent.stage .. '"}')
  write(parent)
end

-- A child's end closes its row, if it is open and the parent lives.
function child_ended(child, state)
  local key = kids_of(child.parent)
  local number = string.match(child.id, '%.(%d+)$')
  if redis.call('HGET', key, number) ~= 'open' then return end
  local parent = read(child.parent)
  if not parent or TERMINAL[parent.state] then return end
  redis.call('HSET', key, number, state .. ' ' .. child.fence)
  local open = redis.call('HINCRBY', key, 'open', -1)
  redis.call('HINCRBY', parent.key, 'kids_' .. state, 1)
  tell_open(parent, open)
  raise(parent, 100 - child.percent)
  if parent.on_child_failure == 'fail' and (state == 'failed' or state == 'expired') and parent.doomed == '' then
    parent.doomed = child.id
    redis.call('HSET', parent.key, 'doomed', child.id)
    if parent.state == 'waiting' then return finish_unwanted(parent) end
  end
  if parent.state == 'waiting' and open <= 0 then wake(parent) end
end

local endings, pages = ENDINGS, PAGES

local function end_child(id)
  local child = read(id)
  if child and not TERMINAL[child.state] then
    endings = endings - 1
    finish_unwanted(child)
  end
end

-- The end of a parent ends its children: fifty a call, the others where `take`, `beat`, `promote`, `reap` or `reconcile`
-- meets them. Their rows stay open: the parent has ended and reads them no more. A call that ends many parents with
-- thousands of children each looks at ten thousand rows in all.
function end_children(parent)
  if parent.children == 0 or tonumber(redis.call('HGET', kids_of(parent.id), 'open') or 0) <= 0 then return end
  for first = 1, parent.children, PAGE do
    if endings <= 0 or pages <= 0 then return end
    pages = pages - 1
    local numbers = {}
    for number = first, math.min(first + PAGE - 1, parent.children) do numbers[#numbers + 1] = number end
    for index, state in ipairs(redis.call('HMGET', kids_of(parent.id), unpack(numbers))) do
      if endings <= 0 then return end
      if state == 'open' then
        local id = parent.id .. '.' .. numbers[index]
        apart(id, end_child, id)
      end
    end
  end
end
