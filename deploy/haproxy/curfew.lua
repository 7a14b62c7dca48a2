-- Asks Curfew about a request before HAProxy passes it on (HAProxy 2.6 or later, for its HTTP client). It fails closed: the verdict is
-- "deny" until Curfew said 200. `http-request lua.curfew <url of forward-auth>` sets txn.curfew (allow or deny), txn.curfew_status,
-- txn.curfew_reason and txn.curfew_id, and on an allow the decision's headers for the service.

local PATIENCE_MS = 300 -- KEEP: late is no. Curfew answers within 150 ms or denies.

-- Of this connection, or written anew below.
local NOT_CARRIED = {
  ["host"] = true, ["connection"] = true, ["content-length"] = true, ["transfer-encoding"] = true, ["te"] = true, ["trailer"] = true,
  ["expect"] = true, ["keep-alive"] = true, ["proxy-connection"] = true,
}

local function first(headers, name)
  local values = headers ~= nil and headers[name] or nil
  return values ~= nil and values[0] or nil
end

local function ask(txn, url)
  txn:set_var("txn.curfew", "deny")
  txn:set_var("txn.curfew_status", 403)
  local headers = {}
  for name, values in pairs(txn.http:req_get_headers()) do
    if not NOT_CARRIED[name] then
      local list = {}
      for index = 0, #values do list[#list + 1] = values[index] end
      headers[name] = list
    end
  end
  headers["x-forwarded-method"] = { txn.f:method() }
  headers["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" }
  headers["x-forwarded-host"] = { txn.f:req_fhdr("host") }
  headers["x-forwarded-uri"] = { txn.f:pathq() }
  headers["x-forwarded-for"] = { txn.f:src() }
  local token = os.getenv("HAPROXY_PEP_TOKEN")
  if token ~= nil then headers["x-curfew-pep-token"] = { token } end

  local response = core.httpclient():get{ url = url, headers = headers, timeout = PATIENCE_MS }
  if response == nil then return end
  txn:set_var("txn.curfew_reason", first(response.headers, "x-curfew-reason") or "")
  txn:set_var("txn.curfew_id", first(response.headers, "x-curfew-decision-id") or "")
  if response.status == 401 then txn:set_var("txn.curfew_status", 401) end
  if response.status ~= 200 then return end
  for _, name in ipairs({ "x-curfew-decision-id", "x-curfew-valid-until", "x-curfew-valid-ms" }) do
    local value = first(response.headers, name)
    if value ~= nil then txn.http:req_set_header(name, value) end
  end
  txn:set_var("txn.curfew", "allow")
end

core.register_action("curfew", { "http-req" }, ask, 1)
