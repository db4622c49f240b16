-- Sends prepared requests, each once: one line a request, "METHOD-less": headers as name=value separated by TAB, the body last.
-- Every thread takes its own share of the file named by REQUESTS; a thread that runs out fails loudly instead of repeating.
local counter = 0
local threads = {}

function setup(thread)
  thread:set("share", counter)
  table.insert(threads, thread)
  counter = counter + 1
end

function init(args)
  local file = args[1]
  local shares = tonumber(args[2])
  path = args[3]
  lines = {}
  local n = 0
  for line in io.lines(file) do
    if n % shares == share then lines[#lines + 1] = line end
    n = n + 1
  end
  at = 0
  ran_out = 0
end

function request()
  at = at + 1
  if at > #lines then
    ran_out = ran_out + 1
    at = 1
  end
  local headers = {}
  local body = ""
  for field in string.gmatch(lines[at], "[^\t]+") do
    local name, value = string.match(field, "^([%w%-]+)=(.*)$")
    if name == "body" then body = value else headers[name] = value end
  end
  return wrk.format("POST", path, headers, body)
end

function done(summary, latency, requests)
  local over = 0
  for _, thread in ipairs(threads) do over = over + thread:get("ran_out") end
  io.write(string.format("RESULT %d %d %d %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout, over))
end
