// The tools of a request for a response as tools of a chat, which has functions only. Namespaces become part of their
// functions' names. Tools that only OpenAI's own models or servers use are left out: Codex offers them in each turn, whatever
// the model.

import type { UpstreamKind } from "../../base/translation.ts";
import { compact, type Fields, isFields, optional, requireFields, requireList, requireText } from "../fields.ts";
import type { ToolNames } from "../tool-names.ts";

interface Named {
  readonly tool: Fields;
  readonly place: string;
  readonly namespace: string | null;
}

export function toTools(body: Fields, kind: UpstreamKind, names: ToolNames): Fields {
  const { tool_choice: choice, parallel_tool_calls: isParallel } = body;
  const offered = [...listTools(body.tools, "tools"), ...listAdditional(body.input)];
  for (const { tool, namespace } of offered) if (namespace === null) names.reserve(String(tool.name));
  const functions = allowedBy(choice, offered, names).map((named) => toTool(named, kind, names));
  if (functions.length === 0 || choice === "none") return {};
  return {
    tools: functions,
    tool_choice: toToolChoice(choice, names),
    ...(kind === "openai" && typeof isParallel === "boolean" && { parallel_tool_calls: isParallel }),
  };
}

/** The tools that are translated. */
function listTools(list: unknown, place: string, namespace: string | null = null): Named[] {
  return (optional(list, place, requireList) ?? []).flatMap((value, index): Named[] => {
    const at = `${place}[${index}]`;
    const tool = requireFields(value, at);
    if (tool.type === "function") return [{ tool, place: at, namespace }];
    const isNamespace = tool.type === "namespace" && namespace === null;
    return isNamespace ? listTools(tool.tools, `${at}.tools`, requireText(tool.name, `${at}.name`)) : [];
  });
}

/** Codex adds tools in the middle of a conversation, as an item of the input. */
function listAdditional(input: unknown): Named[] {
  if (!Array.isArray(input)) return [];
  return input.flatMap((item: unknown, index) =>
    isFields(item) && item.type === "additional_tools" ? listTools(item.tools, `input[${index}].tools`) : [],
  );
}

/** `allowed_tools` chooses among the tools of the request. */
function allowedBy(choice: unknown, offered: readonly Named[], names: ToolNames): readonly Named[] {
  if (!isFields(choice) || choice.type !== "allowed_tools" || !Array.isArray(choice.tools)) return offered;
  const allowed = new Set(choice.tools.flatMap((tool: unknown) => (isFields(tool) ? [nameIn(tool, names)] : [])));
  return offered.filter(({ tool, namespace }) => allowed.has(nameIn({ ...tool, namespace }, names)));
}

function nameIn({ namespace, name }: Fields, names: ToolNames): string {
  return typeof namespace === "string" ? names.flatten({ namespace, name: String(name) }) : String(name);
}

function toTool({ tool, place, namespace }: Named, kind: UpstreamKind, names: ToolNames): Fields {
  const { description, parameters, strict } = tool;
  const name = requireText(tool.name, `${place}.name`);
  return {
    type: "function",
    function: compact({
      name: namespace === null ? name : names.flatten({ namespace, name }),
      description: optional(description, `${place}.description`, requireText) ?? "",
      parameters: parameters ?? { type: "object", properties: {} },
      strict: kind === "openai" && typeof strict === "boolean" ? strict : undefined,
    }),
  };
}

/** What an upstream makes of more than "auto" is its own affair: GLM knows nothing else. */
function toToolChoice(choice: unknown, names: ToolNames): unknown {
  if (choice === "required") return choice;
  if (!isFields(choice)) return undefined;
  if (choice.type === "allowed_tools") return choice.mode === "required" ? "required" : undefined;
  return choice.type === "function" ? { type: "function", function: { name: nameIn(choice, names) } } : undefined;
}
