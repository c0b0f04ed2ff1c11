-- POST of a login that succeeds, with the seeded person's $BENCH_LOGIN (a JSON body).
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["X-Session-Mode"] = "token"
wrk.body = os.getenv("BENCH_LOGIN")
