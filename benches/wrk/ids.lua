-- GET of random seeded rows: the path's `{id}` is row 0 … $BENCH_SEED - 1. Requests are written once, in advance:
-- Lua must not become what is measured.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

-- The id of row `n`, as benches/limit/src/seed.rs makes it: a UUIDv7 of its time, then its number.
local function id(n)
  local ms = 1700000000000 + n
  return string.format("%08x-%04x-7000-8000-%012x", math.floor(ms / 65536), ms % 65536, n)
end

local requests, next_request = {}, 0

local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init()
  math.randomseed(7 + number)
  local seed = tonumber(os.getenv("BENCH_SEED"))
  for i = 1, 4096 do
    local path = os.getenv("BENCH_PATH"):gsub("{id}", id(math.random(0, seed - 1)))
    requests[i] = wrk.format("GET", path)
  end
end

function request()
  next_request = next_request % #requests + 1
  return requests[next_request]
end
