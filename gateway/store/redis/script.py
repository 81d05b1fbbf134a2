"""A batch as one call of one Lua script, which a server runs as a whole or not at all."""

import math
from collections.abc import Sequence

from gateway.store.interface import LARGEST_COUNT, Add, Check, Put, Write

NO_COUNTER = "GATEWAY_NO_COUNTER"
COUNT_TOO_LARGE = "GATEWAY_COUNT_TOO_LARGE"

# KEYS: those of the checks, then those of the writes. ARGV: how many checks; for each check "" (absent) or "=" and the
# value; for each write its kind, its value or amount, its lifetime in ms. Everything that can be refused is refused
# before the first write: a script that fails half-way is not taken back.
SCRIPT = (
    """
local checks = tonumber(ARGV[1])
for i = 1, checks do
  local value = redis.call('GET', KEYS[i])
  if (value and '=' .. value or '') ~= ARGV[1 + i] then return false end
end
local sums = {}
local argument = checks + 2
for i = checks + 1, #KEYS do
  if ARGV[argument] == 'A' then
    local value = redis.call('GET', KEYS[i]) or '0'
    local digits = string.match(value, '^-?(%d+)$') or ''
    if #digits < 1 or #digits > 16 or tonumber(digits) > """
    + str(LARGEST_COUNT)
    + """ then return redis.error_reply('"""
    + NO_COUNTER
    + """ no counter') end
    local sum = tonumber(value) + tonumber(ARGV[argument + 1])
    if math.abs(sum) > """
    + str(LARGEST_COUNT)
    + """ then return redis.error_reply('"""
    + COUNT_TOO_LARGE
    + """ too large') end
    sums[i] = string.format('%.0f', sum)
  end
  argument = argument + 3
end
local counters = {}
argument = checks + 2
for i = checks + 1, #KEYS do
  if ARGV[argument] == 'D' then
    redis.call('DEL', KEYS[i])
  else
    redis.call('SET', KEYS[i], sums[i] or ARGV[argument + 1], 'PX', ARGV[argument + 2])
    counters[#counters + 1] = sums[i]
  end
  argument = argument + 3
end
return counters
"""
)


def script_keys(prefix: bytes, checks: Sequence[Check], writes: Sequence[Write]) -> list[bytes]:
    return [prefix + part.key for part in (*checks, *writes)]


def script_arguments(checks: Sequence[Check], writes: Sequence[Write]) -> list[bytes | int]:
    arguments: list[bytes | int] = [len(checks)]
    arguments += (b"" if check.expected is None else b"=" + check.expected for check in checks)
    for write in writes:
        arguments += _of_write(write)
    return arguments


def _of_write(write: Write) -> tuple[bytes, bytes | int, int]:
    if isinstance(write, Put):
        return b"P", write.value, _milliseconds(write.ttl_s)
    if isinstance(write, Add):
        return b"A", write.amount, _milliseconds(write.ttl_s)
    return b"D", b"", 0


def _milliseconds(duration_s: float) -> int:
    return math.ceil(duration_s * 1000)
