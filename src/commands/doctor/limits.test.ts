import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LaneJson, UpstreamJson } from "../client/upstreams.ts";
import { judgeUpstream } from "./limits.ts";

const lane: LaneJson = {
  model: null,
  running: 0,
  max_concurrency: null,
  learned_concurrency: null,
  slowdown: 1,
  guard_ms: 20,
  blocked_ms: 0,
  blocked_because: null,
  is_disabled: false,
};

function judge(...lanes: Partial<LaneJson>[]) {
  const upstream: UpstreamJson = {
    name: "default",
    requests_per_second: 2,
    max_concurrency: null,
    tokens_per_minute: null,
    lanes: lanes.map((one) => ({ ...lane, ...one })),
  };
  return judgeUpstream(upstream);
}

describe("judgeUpstream()", () => {
  it("is content while nothing was refused", () => {
    assert.deepEqual(
      judge({}).map(({ level }) => level),
      ["ok"],
    );
    assert.deepEqual(
      judge({ slowdown: 1.2 }).map(({ level }) => level),
      ["ok"],
    );
  });

  it("names the section and the value to set for a limit that was learned", () => {
    const [finding] = judge({ model: "glm-4.5-flash", learned_concurrency: 3 });
    assert.equal(finding?.level, "warn");
    assert.match(finding?.fix ?? "", /^set max_concurrency = 3 in \[glm\.models\."glm-4\.5-flash"\]/);
    assert.match(judge({ learned_concurrency: 3 })[0]?.fix ?? "", /in \[rate_limit\]/);
  });

  it("fails when nothing starts, and says why", () => {
    const [finding] = judge({ blocked_ms: 60_000, blocked_because: "quota" });
    assert.equal(finding?.level, "fail");
    assert.match(finding?.text ?? "", /for 60\.0 s: quota$/);
  });

  it("warns of starts that the upstream does not bear, and of models that are not for the key", () => {
    assert.deepEqual(
      judge({ slowdown: 4 }, { model: "glm-5", is_disabled: true }).map(({ level }) => level),
      ["warn", "warn"],
    );
  });
});
