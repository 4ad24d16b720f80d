"""What Redis does in one step with stored answers and with the budget of refreshes.

An answer is a hash: `h` its head, `b` its rows, `due` from when on a hit has it made anew, `rests` until when no
refresh may begin, `worth` what decides which of two is better. A sorted set holds the refreshes that run, by
when they are given up; a key of its own says that an answer's refresh has begun and rests.
"""

from typing import Final

from servicekit.shared.link import Script

_BEGIN: Final = """
local function begin(rests, running, key, now, most, lasts, rest)
  redis.call('ZREMRANGEBYSCORE', running, '-inf', now)
  if redis.call('ZSCORE', running, key) then return 2 end
  if redis.call('EXISTS', rests) == 1 or redis.call('ZCARD', running) >= most then return 0 end
  redis.call('SET', rests, 1, 'PX', rest)
  redis.call('ZADD', running, now + lasts, key)
  redis.call('PEXPIRE', running, lasts * 2)
  return 1
end
"""

LOOK: Final = Script(
    _BEGIN
    + """
local found = redis.call('HMGET', KEYS[1], 'h', 'due', 'rests')
if not found[1] then return {false, 0} end
local now, wish = tonumber(ARGV[2]), tonumber(ARGV[6])
local due = wish == 2 or (wish == 1 and tonumber(found[2]) <= now)
if not due or tonumber(found[3] or 0) > now then return {found[1], 0} end
return {found[1], begin(KEYS[2], KEYS[3], ARGV[1], now, tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]))}
"""
)

BEGIN: Final = Script(
    _BEGIN
    + """
return begin(KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]))
"""
)

END: Final = Script("return redis.call('ZREM', KEYS[1], ARGV[1])")

READ: Final = Script("return redis.call('HMGET', KEYS[1], 'h', 'b')")

PUT: Final = Script("""
local held = redis.call('HGET', KEYS[1], 'worth')
if held and tonumber(held) > tonumber(ARGV[4]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'h', ARGV[1], 'b', ARGV[2], 'due', ARGV[3], 'worth', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
""")
"""The same order as `StoredAnswer.better_than`."""

TOUCH: Final = Script("return redis.call('PEXPIRE', KEYS[1], ARGV[1])")

MARK: Final = Script("""
local due = redis.call('HGET', KEYS[1], 'due')
if not due then return 0 end
if tonumber(ARGV[1]) > 0 and tonumber(ARGV[1]) < tonumber(due) then redis.call('HSET', KEYS[1], 'due', ARGV[1]) end
if tonumber(ARGV[2]) > 0 then redis.call('HSET', KEYS[1], 'rests', ARGV[2]) end
return 1
""")

DROP: Final = Script("return redis.call('DEL', KEYS[1])")

CLEAR: Final = Script("""
local found = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 1000)
for _, key in ipairs(found[2]) do redis.call('UNLINK', key) end
return {found[1], #found[2]}
""")

INFO: Final = Script("""
return {redis.call('INFO', 'memory'), redis.call('ZCOUNT', KEYS[1], '(' .. ARGV[1], '+inf')}
""")
