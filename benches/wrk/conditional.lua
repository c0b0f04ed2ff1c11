-- The same GET again and again with If-None-Match: $BENCH_ETAG, so that the answer is 304.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

function init()
  wrk.headers["If-None-Match"] = os.getenv("BENCH_ETAG")
end
