-- The same GET again and again with the ETag of its first answer, so that the rest is 304.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

local conditional

function request()
  return conditional or wrk.format("GET", os.getenv("BENCH_PATH"))
end

function response(status, headers)
  local etag = headers["etag"] or headers["ETag"]
  if etag then
    conditional = wrk.format("GET", os.getenv("BENCH_PATH"), { ["If-None-Match"] = etag })
    response = nil -- looking at every answer would be what is measured
  end
end
