-- One request for wrk, or one that differs each time. Read from the environment, because wrk hands no arguments to what
-- runs before the first request:
--   LOAD_METHOD  LOAD_TARGET  LOAD_BODY   {n} in the target and the body becomes a number that counts up
--   LOAD_FIRST                            the first number
--   LOAD_HITS    LOAD_HOT                 of 100 requests so many ask for one of so many numbers that come again
-- Prints one line of JSON when done.

local method = os.getenv("LOAD_METHOD") or "GET"
local target = os.getenv("LOAD_TARGET") or "/"
local body = os.getenv("LOAD_BODY")
local number = tonumber(os.getenv("LOAD_FIRST") or "1")
local hits = tonumber(os.getenv("LOAD_HITS") or "0")
local hot = tonumber(os.getenv("LOAD_HOT") or "1")

wrk.method = method
wrk.path = target
wrk.body = body

local asked = 0

local function next_number()
    asked = asked + 1
    if (asked * 37) % 100 < hits then
        return asked % hot + 1
    end
    number = number + 1
    return number
end

if target:find("{n}", 1, true) then
    function request()
        local text = string.format("%d", next_number())
        return wrk.format(method, (target:gsub("{n}", text)), nil, body and (body:gsub("{n}", text)))
    end
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "duration_us": %d, "failed": %d, "socket_errors": %d, "p50_us": %d, "p99_us": %d}\n',
        summary.requests, summary.duration, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
