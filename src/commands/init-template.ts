// The text of a first configuration: what was chosen, and in comments what else there is.

export interface Choices {
  readonly baseUrl: string;
  /** Null: none is to be written. */
  readonly apiKey: string | null;
  readonly keyPlace: "dotenv" | "config" | "none";
  readonly requestsPerSecond: number;
  /** Null: not set. */
  readonly concurrencyMax: number | null;
  readonly host: string;
  readonly port: number;
}

export function formatConfig(choices: Choices): string {
  const { baseUrl, apiKey, keyPlace, requestsPerSecond, concurrencyMax, host, port } = choices;
  const keyLine =
    keyPlace === "config" && apiKey !== null
      ? `api_key = ${text(apiKey)}`
      : "# api_key: comes from GLM_FLASH_API_KEY, in the environment or in .env";
  return `# glm-proxy. \`glm-proxy check\` shows all keys with what is in effect; a running gateway takes changes over at once.

[server]
host = ${text(host)}     # 0.0.0.0: whoever reaches this machine; 127.0.0.1: this machine alone
port = ${port}
# trusted_proxies = ["127.0.0.1"]     # a reverse proxy in front, whose X-Forwarded-For is believed

[auth]
token_ttl_seconds = 900     # how long a login's token is valid; it can be refreshed for session_ttl_seconds
# Users are made with \`glm-proxy user add NAME\`. Fixed ones can stand here as well:
# [[auth.users]]
# username = "ada"
# password_hash = "…"     # glm-proxy hash-password

[glm]
${keyLine}
base_url = ${text(baseUrl)}
timeout_seconds = 120     # of a whole call, its stream included; thinking models take long
# [glm.models."glm-4.5-flash"]
# max_concurrency = 2     # limits of single models

[rate_limit]
requests_per_second = ${requestsPerSecond}     # what GLM allows your key
${concurrencyMax === null ? "# max_concurrency = 5     # calls at once; while it is not set, GLM's refusals teach it" : `max_concurrency = ${concurrencyMax}     # calls at once`}
queue_capacity = 50     # calls that may wait; the next one is told to come back
queue_timeout_seconds = 15

# [quotas]
# time_zone = "Asia/Shanghai"     # where days and months of quotas begin

# [prices]     # for budgets and reports
# currency = "CNY"
# [prices.models."glm-4.5*"]
# input = 0.8     # per million tokens
# output = 2
`;
}

/** TOML's basic strings have JSON's escapes. */
function text(value: string): string {
  return JSON.stringify(value);
}
