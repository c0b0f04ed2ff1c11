-- POST of an order for one cart after the other: the lines `id secret total` of the file $BENCH_CARTS. Each cart is used once;
-- every sixth of them is for warming up ($BENCH_WARM_UP), which lasts a sixth of the time.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
  thread:set("step", 2)
end

local requests, next_request = {}, 0

function init()
  local line_number = 0
  for line in io.lines(os.getenv("BENCH_CARTS")) do
    line_number = line_number + 1
    local is_for_warm_up = math.floor(line_number / step) % 6 == 0
    if line_number % step == number and is_for_warm_up == (os.getenv("BENCH_WARM_UP") == "1") then
      local id, secret, total = line:match("(%S+) (%S+) (%d+)")
      local body = string.format('{"cart_id":"%s","expected_total":{"amount":%s,"currency":"EUR"},"payment_method":"offline:bank_transfer"}', id, total)
      local headers = { ["Content-Type"] = "application/json", ["Cart-Secret"] = secret, ["Idempotency-Key"] = "checkout-of-" .. id }
      requests[#requests + 1] = wrk.format("POST", "/api/v1/shop/orders", headers, body)
    end
  end
end

-- After the last cart comes nothing: an empty answer would look fast, so it is made an error.
local nothing_left = "GET /api/v1/shop/no-cart-is-left HTTP/1.1\r\nHost: bench\r\n\r\n"

function request()
  next_request = next_request + 1
  return requests[next_request] or nothing_left
end
