import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ConfigSources, LoadedConfig } from "./config.ts";
import { describeSettings } from "./describe.ts";
import { createWorkspace } from "./fixtures/workspace.ts";

const glmUrl = "https://open.bigmodel.cn/api/paas/v4";
const noKey = { GLM_FLASH_API_KEY: undefined };

function load(toml: string, env: ConfigSources["env"] = noKey): LoadedConfig {
  using workspace = createWorkspace();
  workspace.write("config.toml", toml);
  return workspace.load({ env });
}

function listProblems(toml: string, env: ConfigSources["env"] = noKey): readonly string[] {
  using workspace = createWorkspace();
  workspace.write("config.toml", toml);
  return workspace.listProblems({ env });
}

function listCodes(toml: string, env: ConfigSources["env"] = noKey): string[] {
  return load(toml, env).notices.map(({ code }) => code);
}

describe("a pool of several keys", () => {
  it("takes from [glm] and [rate_limit] what a key does not say itself", () => {
    const { settings } = load(`[glm]
api_key = "general"
base_url = "https://api.z.ai/api/paas/v4/"
[[glm.keys]]
name = "a"
[[glm.keys]]
name = "b"
api_key = "own"
requests_per_second = 5
max_concurrency = 3
tokens_per_minute = 1000
weight = 2.5
models = ["glm-4.5*"]
[rate_limit]
max_concurrency = 1
`);
    assert.deepEqual(settings.glm.upstreams, [
      {
        name: "a",
        kind: "glm",
        apiKey: "general",
        baseUrl: "https://api.z.ai/api/paas/v4",
        anthropicBaseUrl: "https://api.z.ai/api/anthropic",
      },
      {
        name: "b",
        kind: "glm",
        apiKey: "own",
        baseUrl: "https://api.z.ai/api/paas/v4",
        anthropicBaseUrl: "https://api.z.ai/api/anthropic",
      },
    ]);
    assert.deepEqual(settings.rateLimit.keys, [
      { name: "a", models: null, startsPerSecond: 2, concurrencyMax: 1, tokensPerMinute: null },
      {
        name: "b",
        models: ["glm-4.5*"],
        weight: 2.5,
        startsPerSecond: 5,
        concurrencyMax: 3,
        tokensPerMinute: 1_000,
      },
    ]);
    assert.deepEqual([settings.glm.apiKey, settings.glm.baseUrl], ["general", "https://api.z.ai/api/paas/v4"]);
  });

  it("gives all keys of an account what one of them says, by the account's name or the first key's", () => {
    const { settings } = load(`[[glm.keys]]
name = "a"
api_key = "1"
[[glm.keys]]
name = "b"
api_key = "2"
account = "a"
max_concurrency = 4
[[glm.keys]]
name = "c"
api_key = "3"
account = "lab"
requests_per_second = 7
[[glm.keys]]
name = "d"
api_key = "4"
account = "lab"
requests_per_second = 7
`);
    assert.deepEqual(
      settings.rateLimit.keys.map(({ name, account, startsPerSecond, concurrencyMax }) => [
        name,
        account,
        startsPerSecond,
        concurrencyMax,
      ]),
      [
        ["a", undefined, 2, 4],
        ["b", "a", 2, 4],
        ["c", "lab", 7, null],
        ["d", "lab", 7, null],
      ],
    );
  });

  it("never sends the general key, or its Anthropic host, where they do not belong", () => {
    const { settings } = load(`[glm]
api_key = "general"
anthropic_base_url = "https://open.bigmodel.cn/api/anthropic"
[[glm.keys]]
name = "glm"
[[glm.keys]]
name = "elsewhere"
api_key = "other"
base_url = "https://glm.example/api/coding/paas/v4"
[[glm.keys]]
name = "vllm"
kind = "openai"
base_url = "http://127.0.0.1:8000/v1"
models = ["qwen*"]
`);
    assert.deepEqual(
      settings.glm.upstreams.map(({ apiKey, anthropicBaseUrl }) => [apiKey, anthropicBaseUrl]),
      [
        ["general", "https://open.bigmodel.cn/api/anthropic"],
        ["other", "https://glm.example/api/anthropic"],
        [null, null],
      ],
    );
    assert.equal(settings.rateLimit.keys[2]?.kind, "openai");
  });

  it("has no Anthropic API where there is none, or none is wanted", () => {
    const anthropicOf = (toml: string) =>
      load(`[glm]\napi_key = "x"\n${toml}`).settings.glm.upstreams[0]?.anthropicBaseUrl;
    assert.equal(anthropicOf(""), "https://open.bigmodel.cn/api/anthropic");
    assert.equal(anthropicOf('anthropic_base_url = "none"'), null);
    assert.equal(anthropicOf('anthropic_base_url = ""'), null);
    assert.equal(anthropicOf('anthropic_base_url = "https://a.test/anthropic/"'), "https://a.test/anthropic");
    assert.equal(anthropicOf('base_url = "https://a.test/v1"'), null);
    assert.match(listProblems('[glm]\napi_key = "x"\nanthropic_base_url = "off"')[0] ?? "", /or "none": got "off"$/);
  });
});

describe("a pool of one", () => {
  it("takes the address of its key, unless the environment says another", () => {
    const toml = '[[glm.keys]]\napi_key = "x"\nbase_url = "https://api.z.ai/api/paas/v4"\n';
    const [upstream] = load(toml).settings.glm.upstreams;
    assert.deepEqual(
      [upstream?.baseUrl, upstream?.anthropicBaseUrl],
      ["https://api.z.ai/api/paas/v4", "https://api.z.ai/api/anthropic"],
    );
    const env = { ...noKey, GLM_PROXY__GLM__BASE_URL: glmUrl };
    assert.equal(load(toml, env).settings.glm.upstreams[0]?.baseUrl, glmUrl);
  });

  it("needs no key where its server asks for none, and does not tell it GLM's", () => {
    const toml = '[[glm.keys]]\nkind = "openai"\nbase_url = "http://127.0.0.1:8000/v1"\n';
    for (const env of [noKey, { GLM_FLASH_API_KEY: "glm-key" }]) {
      assert.deepEqual(load(toml, env).settings.glm.upstreams, [
        { name: "default", kind: "openai", apiKey: null, baseUrl: "http://127.0.0.1:8000/v1", anthropicBaseUrl: null },
      ]);
    }
  });
});

describe("variables for one entry of a list", () => {
  const pool = '[[glm.keys]]\nname = "a"\napi_key = "in-file"\n[[glm.keys]]\nname = "b"\napi_key = "in-file-too"\n';

  it("replace what the file says of it, and may add the next one", () => {
    const { settings, origins } = load(pool, {
      ...noKey,
      GLM_PROXY__GLM__KEYS__1__API_KEY: "of-b",
      GLM_PROXY__GLM__KEYS__2__NAME: "c",
      GLM_PROXY__GLM__KEYS__2__API_KEY: "of-c",
      GLM_PROXY__GLM__KEYS__2__MAX_CONCURRENCY: "3",
    });
    assert.deepEqual(
      settings.glm.upstreams.map(({ name, apiKey }) => [name, apiKey]),
      [
        ["a", "in-file"],
        ["b", "of-b"],
        ["c", "of-c"],
      ],
    );
    assert.equal(settings.rateLimit.keys[2]?.concurrencyMax, 3);
    assert.equal(origins.find(["glm", "keys", 1, "api_key"]).text, "environment GLM_PROXY__GLM__KEYS__1__API_KEY");
    assert.equal(origins.find(["glm", "keys", 1, "name"]).text, "config.toml:5");
    assert.equal(origins.find(["glm", "keys", 0, "api_key"]).text, "config.toml:3");
  });

  it("may name a file with the key", () => {
    using workspace = createWorkspace();
    workspace.write("config.toml", '[[glm.keys]]\nname = "a"\n[[glm.keys]]\nname = "b"\n');
    workspace.write("one", "of-a\n");
    const env = { ...noKey, GLM_PROXY__GLM__KEYS__0__API_KEY_FILE: "one", GLM_PROXY__GLM__KEYS__1__API_KEY: "of-b" };
    const { settings } = workspace.load({ env });
    assert.deepEqual(
      settings.glm.upstreams.map(({ apiKey }) => apiKey),
      ["of-a", "of-b"],
    );
  });

  it("come after the variable that replaces the whole list", () => {
    const env = {
      ...noKey,
      GLM_PROXY__GLM__KEYS: '[{"name":"x"}]',
      GLM_PROXY__GLM__KEYS__0__API_KEY: "of-x",
    };
    const { settings, origins } = load(pool, env);
    assert.deepEqual(
      settings.glm.upstreams.map(({ name, apiKey }) => [name, apiKey]),
      [["x", "of-x"]],
    );
    assert.equal(origins.find(["glm", "keys", 0, "name"]).text, "environment GLM_PROXY__GLM__KEYS");
  });

  it("are problems when they leave a gap, are not known, or have a wrong value", () => {
    const env = {
      ...noKey,
      GLM_PROXY__GLM__KEYS__3__API_KEY: "hush",
      GLM_PROXY__GLM__KEYS__0__API_KY: "hush",
      GLM_PROXY__GLM__KEYS__01__API_KEY: "hush",
      GLM_PROXY__GLM__KEYS__1__WEIGHT: "0",
    };
    const problems = listProblems(pool, env);
    assert.deepEqual(
      problems.map((problem) => problem.replace(/: did you mean.*/, "")),
      [
        "environment GLM_PROXY__GLM__KEYS__1__WEIGHT: must be a number from 0.001 to 1000: got 0",
        "environment GLM_PROXY__GLM__KEYS__01__API_KEY: is not known",
        "environment GLM_PROXY__GLM__KEYS__0__API_KY: is not known",
        "environment GLM_PROXY__GLM__KEYS__3__API_KEY: there is no such entry: they have numbers from 0 on, without a gap",
      ],
    );
    assert.doesNotMatch(problems.join(), /hush/);
  });
});

describe("problems of a pool", () => {
  it("tell each key what it lacks", () => {
    const toml = `[[glm.keys]]
api_key = "1"
[[glm.keys]]
name = "b"
[[glm.keys]]
name = "c"
kind = "openai"
[[glm.keys]]
name = "d"
api_key = "4"
models = []
`;
    assert.deepEqual(listProblems(toml), [
      "config.toml:1: [[glm.keys]] entry 1 must have a name, since there are several",
      "config.toml:3: [[glm.keys]] entry 2 must have an api_key (or set GLM_PROXY__GLM__KEYS__1__API_KEY)",
      'config.toml:5: [[glm.keys]] entry 3 must have a base_url: none is usual for kind = "openai"',
      'config.toml:11: [[glm.keys]] models must name a model, or it serves none: "*" stands for all',
    ]);
  });

  it("tell twins, by name and by key", () => {
    const toml = `[glm]
api_key = "general-hush"
[[glm.keys]]
name = "a"
[[glm.keys]]
name = "a"
api_key = "x"
[[glm.keys]]
name = "c"
api_key = "general-hush"
[[glm.keys]]
name = "d"
`;
    const problems = listProblems(toml);
    assert.deepEqual(problems, [
      "config.toml:6: [[glm.keys]] name is the same as that of entry 1",
      "config.toml:10: [[glm.keys]] api_key is the same key as entry 1: give both the same account, or remove one",
      "config.toml:11: [[glm.keys]] entry 4 has the same key as entry 1: give both the same account, or give it an api_key of its own",
    ]);
  });

  it("let one key stand twice in an account, such as for two addresses", () => {
    const key = (name: string) => `[[glm.keys]]\nname = "${name}"\napi_key = "x"\naccount = "lab"\n`;
    assert.equal(load(key("a") + key("b")).settings.glm.upstreams.length, 2);
  });

  it("tell where keys of an account contradict each other", () => {
    const toml = `[[glm.keys]]
name = "a"
api_key = "1"
max_concurrency = 2
[[glm.keys]]
name = "b"
api_key = "2"
account = "a"
max_concurrency = 3
[[glm.keys]]
name = "c"
kind = "openai"
base_url = "http://127.0.0.1:1"
account = "a"
`;
    assert.deepEqual(listProblems(toml), [
      'config.toml:9: [[glm.keys]] max_concurrency must be the same as that of entry 1: keys of the account "a" share it',
      'config.toml:12: [[glm.keys]] kind must be the same as that of entry 1: keys of the account "a" share it',
    ]);
  });

  it("tell fallbacks that lead nowhere new", () => {
    const toml = `[glm]
api_key = "x"
[glm.aliases]
big = "glm-4.6"
[glm.fallbacks]
"glm-4.6" = ["glm-4.5", "glm-4.5-air", "glm-4.5"]
"glm-4.5" = ["big"]
big = ["glm-5"]
"glm-5" = [${Array.from({ length: 11 }, (_, index) => `"m${index}"`).join(", ")}]
"glm-x" = ["glm-x"]
`;
    assert.deepEqual(listProblems(toml), [
      'config.toml:6: [glm.fallbacks] "glm-4.6"[2] is in the list already',
      "config.toml:8: [glm.fallbacks] big is the same model as one above",
      "config.toml:9: [glm.fallbacks] glm-5 must be a list of at most 10 entries: got a list",
      "config.toml:10: [glm.fallbacks] glm-x leads back to itself",
    ]);
    const circle =
      '[glm]\napi_key = "x"\n[glm.aliases]\nbig = "b"\n[glm.fallbacks]\na = ["big"]\nb = ["c"]\nc = ["a"]\nd = ["a"]\n';
    assert.deepEqual(listProblems(circle), [
      "config.toml:6: [glm.fallbacks] a leads back to itself",
      "config.toml:7: [glm.fallbacks] b leads back to itself",
      "config.toml:8: [glm.fallbacks] c leads back to itself",
    ]);
  });

  it("tell of families that are not known or have no limit", () => {
    const toml =
      '[glm]\napi_key = "x"\n[rate_limit.families.image]\nmax_concurrency = 1\n[rate_limit.families.audio]\n';
    assert.deepEqual(listProblems(toml), [
      'config.toml:3: [rate_limit.families] image is not known: did you mean "images"?',
      "config.toml:5: [rate_limit.families] audio must have requests_per_second or max_concurrency",
    ]);
  });
});

describe("what else is said of calls", () => {
  it("has families with limits of their own, fallbacks by the upstream's names, bounds of uploads and a cache", () => {
    const { settings } = load(`[glm]
api_key = "x"
[glm.aliases]
big = "glm-4.6"
small = "glm-4.5-air"
[glm.fallbacks]
big = ["small", "glm-4.5-flash"]
[rate_limit.families.images]
max_concurrency = 1
[rate_limit.families.poll]
max_concurrency = 4
[server]
upload_limit_bytes = 5
[cache]
enabled = true
max_bytes = 100
ttl_seconds = 2
entry_max_bytes = 10
models = ["glm-4.5*"]
`);
    assert.deepEqual(settings.rateLimit.families, [
      { family: "images", startsPerSecond: null, concurrencyMax: 1 },
      { family: "poll", startsPerSecond: 10, concurrencyMax: 4 },
    ]);
    assert.deepEqual([...settings.glm.fallbacks], [["glm-4.6", ["glm-4.5-air", "glm-4.5-flash"]]]);
    assert.equal(settings.server.uploadBytesMax, 5);
    assert.deepEqual(settings.cache, {
      isEnabled: true,
      bytesMax: 100,
      entryBytesMax: 10,
      ttlMs: 2_000,
      models: ["glm-4.5*"],
    });
    const plain = load('[glm]\napi_key = "x"\n').settings;
    assert.equal(plain.server.uploadBytesMax, 100 * 1024 * 1024 + 1024 * 1024);
    assert.deepEqual(plain.cache, {
      isEnabled: false,
      bytesMax: 67_108_864,
      entryBytesMax: 1_048_576,
      ttlMs: 300_000,
      models: [],
    });
  });

  it("has the proxy that the environment names, and this machine without it", () => {
    const proxyOf = (env: ConfigSources["env"]) => load('[glm]\napi_key = "x"\n', { ...noKey, ...env }).settings.proxy;
    assert.equal(proxyOf({}), null);
    assert.equal(proxyOf({ NO_PROXY: "a.test", HTTPS_PROXY: "" }), null);
    assert.deepEqual(proxyOf({ HTTPS_PROXY: "http://p.test:3128", NO_PROXY: "a.test" }), {
      http: null,
      https: "http://p.test:3128",
      none: "a.test,localhost,127.0.0.0/8,::1",
    });
    assert.deepEqual(proxyOf({ http_proxy: "p.test:1", HTTP_PROXY: "http://q.test", NO_PROXY: "*" }), {
      http: "http://p.test:1",
      https: null,
      none: "*,localhost,127.0.0.0/8,::1",
    });
    const problems = listProblems('[glm]\napi_key = "x"\n', { ...noKey, https_proxy: "socks5://me:hush@p.test" });
    assert.deepEqual(problems, [
      'environment https_proxy: must be a URL of a proxy such as "http://proxy.internal:3128"',
    ]);
  });
});

describe("notices about a pool", () => {
  const key = (name: string, more = "") => `[[glm.keys]]\nname = "${name}"\napi_key = "key-${name}"\n${more}`;

  it("look at every key's address", () => {
    const coding = key("b", 'base_url = "https://api.z.ai/api/coding/paas/v4"\n');
    const notices = load(key("a") + coding).notices;
    const notice = notices.find(({ code }) => code === "coding_plan");
    assert.match(notice?.message ?? "", /^glm\.keys\[1\]\.base_url is the Coding Plan's/);
    assert.ok(listCodes(key("a") + key("b", 'base_url = "http://glm.test/v4"\n')).includes("plain_http"));
    assert.ok(!listCodes(key("a") + key("b")).includes("coding_plan"));
  });

  it("tell of a general key that nothing uses, and of examples", () => {
    assert.ok(listCodes(key("a") + key("b"), {}).includes("key_without_effect"));
    assert.ok(!listCodes(`${key("a")}[[glm.keys]]\nname = "b"\n`, {}).includes("key_without_effect"));
    const sample = load(`${key("a")}[[glm.keys]]\nname = "b"\napi_key = "your-api-key"\n`).notices;
    assert.match(sample.find(({ code }) => code === "sample_key")?.message ?? "", /^glm\.keys\[1\]\.api_key \(config/);
  });

  it("tell of models that no key serves, and of servers that would be asked for all", () => {
    const pool = key("a", 'models = ["glm-4.5*"]\n') + key("b", 'models = ["glm-5"]\n');
    assert.ok(listCodes(`${pool}[glm.fallbacks]\n"glm-5" = ["glm-4.6"]\n`).includes("fallback_not_served"));
    assert.ok(listCodes(`${pool}[glm.aliases]\nx = "glm-4.6"\n`).includes("alias_not_served"));
    const fine = `${pool}[glm.aliases]\nx = "glm-5"\n[glm.fallbacks]\n"glm-5" = ["glm-4.5-air"]\n`;
    assert.deepEqual(
      listCodes(fine).filter((code) => code.endsWith("_served")),
      [],
    );
    const open = '[[glm.keys]]\nname = "v"\nkind = "openai"\nbase_url = "http://127.0.0.1:1"\n';
    assert.ok(listCodes(key("a") + open).includes("models_not_said"));
    assert.ok(!listCodes(`${key("a")}${open}models = ["qwen*"]\n`).includes("models_not_said"));
  });

  it("count a user's limit against all accounts together", () => {
    const limits = "[rate_limit]\nmax_concurrency = 2\nuser_max_concurrency = 3\n";
    assert.ok(!listCodes(key("a") + key("b") + limits).includes("limit_without_effect"));
    assert.ok(listCodes(key("a") + key("b", 'account = "a"\n') + limits).includes("limit_without_effect"));
  });
});

describe("describeSettings() of a pool", () => {
  it("masks every key", () => {
    const loaded = load(
      '[[glm.keys]]\nname = "a"\napi_key = "a-long-secret-1234"\n[[glm.keys]]\nname = "b"\napi_key = "short"\n',
    );
    const text = describeSettings(loaded);
    assert.match(text, /glm\.keys\[0\]\.api_key +…1234 +config\.toml:3/);
    assert.match(text, /glm\.keys\[1\]\.api_key +\*\*\* +config\.toml:6/);
    assert.doesNotMatch(text, /a-long-secret|short/);
  });
});
