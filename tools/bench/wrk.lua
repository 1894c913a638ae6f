-- What wrk asks is set before this by tools/bench/load.py, `depth` too: how many requests are sent at once on a
-- connection; `pause`: how many milliseconds it waits before each, in the mean; and `numbered`: whether each has an id
-- of its own. Told are the sums, as JSON.
if pause > 0 then
  function delay()
    return math.random(0, 2 * pause)
  end
end

if depth > 1 then
  local several
  function init()
    several = string.rep(wrk.format(), depth)
  end
  function request()
    return several
  end
end

if numbered then
  local sent = 0
  function request()
    sent = sent + 1
    wrk.headers["X-Request-Id"] = string.format("%032x", sent)
    return wrk.format()
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"failed":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
