import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import type { ControlParts } from "./control-parts.ts";
import type { Route } from "./route.ts";
import { createRoutes } from "./routes.ts";
import { loginRoute } from "./session-routes.ts";

const text = readFileSync(new URL("../../docs/api.md", import.meta.url), "utf8");
const nameOf = ({ method, path }: Route) => `${method.toUpperCase()} ${path}`;
const routes = new Map([loginRoute, ...createRoutes({} as ControlParts)].map((route) => [nameOf(route), route]));

/** By the heading that they stand under. */
const sections = text
  .split(/^### `/m)
  .slice(1)
  .map((section) => ({ name: section.slice(0, section.indexOf("`")), body: section }));

describe("docs/api.md", () => {
  it("describes every route, and no other", () => {
    assert.deepEqual(sections.map(({ name }) => name).sort(), [...routes.keys()].sort());
  });

  it("has an example of every body", () => {
    for (const { name, body } of sections) {
      assert.equal(/^Body:$/m.test(body), routes.get(name)?.body !== null, name);
    }
  });

  it("has examples that the schemas accept, without a field too many", () => {
    let count = 0;
    for (const { name, body } of sections) {
      const route = routes.get(name) as Route;
      for (const [, what, example = ""] of body.matchAll(/^(Body|Answer):\n```json\n([\s\S]*?)^```$/gm)) {
        const schema = what === "Body" ? route.body : route.answer.schema;
        const value: unknown = JSON.parse(example);
        const parsed = schema?.safeParse(value);
        assert.ok(parsed?.success, `${name} ${what}: ${JSON.stringify(parsed?.error?.issues)}`);
        assert.deepEqual(parsed.data, value, `${name} ${what}`);
        count++;
      }
    }
    assert.ok(count >= 25, `${count} examples`);
  });

  it("shows whole answers, where it shows any", () => {
    for (const [example] of text.matchAll(/(?<=```json\n)[\s\S]*?(?=^```$)/gm))
      assert.doesNotThrow(() => JSON.parse(example), example);
  });
});
