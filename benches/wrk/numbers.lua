-- GET of random seeded things: the path's `{n}` is 0 … $BENCH_SEED - 1. Requests are written once, in advance.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

local requests, next_request = {}, 0

local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init()
  math.randomseed(7 + number)
  local seed = tonumber(os.getenv("BENCH_SEED"))
  for i = 1, 16384 do
    local path = os.getenv("BENCH_PATH"):gsub("{n}", tostring(math.random(0, seed - 1)))
    requests[i] = wrk.format("GET", path)
  end
end

function request()
  next_request = next_request % #requests + 1
  return requests[next_request]
end
