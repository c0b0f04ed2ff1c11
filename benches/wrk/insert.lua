-- POST of a new row.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = string.format('{"title":"A row of the bench","body":"%s"}', string.rep("The quick brown fox jumps over the lazy dog. ", 4))
