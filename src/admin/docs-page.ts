// The page that shows the OpenAPI document: read from /openapi.json, made into text by a script of our own. Nothing of it
// is ever taken for HTML.

import type { Language } from "../base/refusal-words.ts";
import { baseStyle, pageHeaders, renderPage } from "./page.ts";

const style = `${baseStyle}
.frame { display: grid; grid-template-columns: 17rem minmax(0, 1fr); min-height: 100vh; }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 1.5rem 1rem 2rem 1.5rem; border-right: 1px solid var(--line); background: var(--panel); }
nav h2 { font-size: .75rem; letter-spacing: .06em; text-transform: uppercase; color: var(--faint); margin: 1.25rem 0 .3rem; }
nav a { display: flex; gap: .5rem; align-items: baseline; padding: .12rem 0; color: inherit; text-decoration: none; overflow-wrap: anywhere; font-size: .86rem; }
nav a:hover { color: var(--accent); }
input { width: 100%; padding: .45rem .6rem; font: inherit; font-size: .9rem; color: inherit; background: var(--ground); border: 1px solid var(--line); border-radius: 8px; }
main { max-width: 62rem; width: 100%; padding: 2rem clamp(1rem, 4vw, 3rem) 6rem; }
.lead { color: var(--faint); margin: 0 0 2rem; }
.lead p { margin: 0 0 .5rem; }
article { background: var(--panel); border: 1px solid var(--line); border-radius: 12px; padding: 1.1rem 1.35rem; margin: 0 0 1rem; scroll-margin-top: 1rem; }
article h3 { display: flex; flex-wrap: wrap; gap: .6rem; align-items: baseline; margin: 0; font-size: 1rem; }
article h3 code { font-size: 1rem; overflow-wrap: anywhere; }
article h3 span { font-weight: 400; color: var(--faint); }
article > p { margin: .5rem 0 0; }
h2.tag { font-size: 1.2rem; margin: 2.2rem 0 .8rem; text-transform: capitalize; }
h4 { margin: 1rem 0 .3rem; font-size: .8rem; letter-spacing: .04em; text-transform: uppercase; color: var(--faint); }
.method { font: 700 .72rem ui-monospace, Menlo, Consolas, monospace; text-transform: uppercase; min-width: 3.4em; }
nav .method { font-size: .62rem; flex: none; min-width: 4.3em; }
.get { color: var(--get); } .post { color: var(--post); } .patch { color: var(--patch); } .delete { color: var(--delete); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
td { padding: .3rem .75rem .3rem 0; border-top: 1px solid var(--line); vertical-align: top; }
td:first-child { white-space: nowrap; width: 1%; padding-right: 1.5rem; }
td:nth-child(2) { color: var(--faint); width: 30%; }
pre { margin: .3rem 0 0; padding: .8rem 1rem; background: var(--code); border-radius: 8px; overflow: auto; line-height: 1.45; }
code { background: var(--code); border-radius: 4px; padding: .05em .3em; } pre code, h3 code, td:first-child code { background: none; padding: 0; }
details { margin-top: .6rem; } summary { cursor: pointer; color: var(--accent); font-size: .9rem; }
[hidden] { display: none !important; }
@media (max-width: 50rem) { .frame { display: block; } nav { position: static; height: auto; max-height: 45vh; border-right: 0; border-bottom: 1px solid var(--line); } }
`;

const script = `
const words = document.querySelector("main").dataset;
const content = document.querySelector("#content");
const menu = document.querySelector("#menu");

function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
/** Text with \`code\` in backquotes. */
function prose(text, name = "p") {
  return make(name, {}, ...text.split("\`").map((part, index) => (index % 2 ? make("code", {}, part) : part)));
}
function resolve(api, schema) {
  return schema && schema.$ref ? resolve(api, schema.$ref.split("/").slice(1).reduce((at, part) => at[part], api)) : (schema ?? {});
}
function nameOf(schema) {
  return schema.$ref ? schema.$ref.split("/").pop() : null;
}
function typeOf(api, schema) {
  if (!schema) return "";
  if (schema.$ref) {
    const target = resolve(api, schema);
    return target.type === "object" ? nameOf(schema) : typeOf(api, target);
  }
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const either = schema.anyOf ?? schema.oneOf;
  if (either) return [...new Set(either.map((one) => typeOf(api, one)))].join(" | ");
  if (schema.allOf) return schema.allOf.map((one) => typeOf(api, one)).filter((text) => text !== "object" && text !== "").join(" & ") || "object";
  const types = [schema.type ?? "any"].flat();
  return types.map((type) => (type === "array" ? "[" + typeOf(api, schema.items) + "]" : schema.format === "date-time" && type === "string" ? "time" : type)).join(" | ");
}
function exampleOf(api, schema, depth = 0) {
  const target = resolve(api, schema);
  if (target.example !== undefined) return target.example;
  if (target.examples) return target.examples[0];
  if (target.default !== undefined) return target.default;
  if (target.enum) return target.enum[0];
  const either = target.anyOf ?? target.oneOf ?? target.allOf;
  if (either && !target.properties) return exampleOf(api, either.find((one) => one.type !== "null") ?? either[0], depth);
  const type = [target.type].flat().find((one) => one !== "null");
  if (type === "object" || target.properties) {
    if (depth > 4) return {};
    return Object.fromEntries(Object.entries(target.properties ?? {}).map(([name, one]) => [name, exampleOf(api, one, depth + 1)]));
  }
  if (type === "array") return depth > 4 ? [] : [exampleOf(api, target.items, depth + 1)];
  return { string: "…", integer: 1, number: 1, boolean: true }[type] ?? null;
}
function descriptionOf(api, schema) {
  return schema.description ?? resolve(api, schema).description ?? "";
}
function fields(api, rows) {
  return make("table", {}, make("tbody", {}, ...rows.map(([name, schema, isRequired]) =>
    make("tr", {}, make("td", {}, make("code", {}, name), isRequired ? " *" : ""), make("td", {}, typeOf(api, schema)), prose(descriptionOf(api, schema), "td")))));
}
function properties(api, schema) {
  const target = resolve(api, schema);
  return Object.entries(target.properties ?? {}).map(([name, one]) => [name, one, (target.required ?? []).includes(name)]);
}
function sample(title, api, schema) {
  return make("details", {}, make("summary", {}, title), make("pre", {}, make("code", {}, JSON.stringify(exampleOf(api, schema), null, 2))));
}
function card(api, method, path, operation) {
  const id = operation.operationId;
  const body = operation.requestBody?.content["application/json"]?.schema;
  const [status, answer] = Object.entries(operation.responses).find(([code]) => code.startsWith("2"));
  const [type, media] = Object.entries(answer.content ?? {})[0] ?? [];
  const parts = [
    make("h3", {}, make("b", { class: "method " + method }, method), make("code", {}, path), make("span", {}, operation.summary)),
    prose(operation.description ?? ""),
  ];
  if (operation.parameters?.length) {
    parts.push(make("h4", {}, words.parameters), fields(api, operation.parameters.map((one) => [one.name, { description: one.description, ...one.schema }, one.required])));
  }
  if (body) parts.push(make("h4", {}, words.body), fields(api, properties(api, body)), sample(words.example, api, body));
  parts.push(make("h4", {}, words.answer + " " + status), prose(answer.description + (type && type !== "application/json" ? " (" + type + ")" : "")));
  if (type === "application/json") {
    const shown = resolve(api, media.schema);
    const rows = properties(api, shown.properties?.data?.items ?? shown);
    if (rows.length > 0) parts.push(make("details", {}, make("summary", {}, words.fields), fields(api, rows)));
    parts.push(sample(words.example, api, media.schema));
  }
  const link = make("a", { href: "#" + id, title: operation.summary }, make("b", { class: "method " + method }, method), path);
  return { tag: operation.tags[0], link, article: make("article", { id }, ...parts), text: (method + " " + path + " " + operation.summary).toLowerCase() };
}

async function show() {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(String(answer.status));
  const api = await answer.json();
  document.querySelector("#version").textContent = api.info.version;
  document.querySelector("#lead").append(...api.info.description.split("\\n\\n").slice(1).map((text) => prose(text)));
  const cards = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => card(api, method, path, operation)));
  const groups = Map.groupBy(cards, ({ tag }) => tag);
  const blocks = [...groups].map(([tag, own]) => {
    const heading = make("h2", {}, tag);
    const title = make("h2", { class: "tag" }, tag);
    menu.append(heading, ...own.map(({ link }) => link));
    content.append(title, ...own.map(({ article }) => article));
    return { own, heads: [heading, title] };
  });
  document.querySelector("input").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    for (const { own, heads } of blocks) {
      for (const one of own) one.link.hidden = one.article.hidden = !one.text.includes(wanted);
      for (const head of heads) head.hidden = own.every(({ link }) => link.hidden);
    }
  });
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}
show().catch((error) => content.append(prose(words.failed + " (" + error.message + ")")));
`;

const words = {
  en: {
    title: "glm-proxy: the API of its control plane",
    lead: "Self-service and administration of the gateway.",
    search: "Search",
    parameters: "Parameters",
    body: "Body",
    answer: "Answer",
    example: "Example",
    fields: "Fields",
    failed: "The description can't be read now.",
    raw: "As an OpenAPI document",
    noScript: "This page needs JavaScript; the same is in openapi.json.",
  },
  zh: {
    title: "glm-proxy 控制面 API",
    lead: "网关的自助服务与管理接口。",
    search: "搜索",
    parameters: "参数",
    body: "请求体",
    answer: "响应",
    example: "示例",
    fields: "字段",
    failed: "暂时无法读取接口描述。",
    raw: "OpenAPI 文档",
    noScript: "本页面需要 JavaScript；相同内容见 openapi.json。",
  },
} as const;

export const docsPageHeaders = pageHeaders({ style, script });

export function renderDocsPage(language: Language): string {
  const w = words[language];
  const body = `<div class="frame">
<nav aria-label="API"><input type="search" placeholder="${w.search}" aria-label="${w.search}"><div id="menu"></div></nav>
<main data-parameters="${w.parameters}" data-body="${w.body}" data-answer="${w.answer}" data-example="${w.example}" data-fields="${w.fields}" data-failed="${w.failed}">
<h1>${w.title}</h1>
<div class="lead" id="lead"><p>${w.lead} <span id="version"></span> · <a href="/openapi.json">${w.raw}</a></p></div>
<noscript>${w.noScript}</noscript>
<div id="content"></div>
</main>
</div>`;
  return renderPage({ style, script }, { language, title: w.title, body });
}
