// The page behind the one-time link: a form for the first administrator. The link's secret is in the fragment, which
// never leaves the browser but in the form's own request.

import type { Language } from "../base/refusal-words.ts";
import { baseStyle, pageHeaders, renderPage } from "./page.ts";

const style = `${baseStyle}
main { max-width: 26rem; margin: 12vh auto 0; padding: 1.75rem; background: var(--panel); border: 1px solid var(--line); border-radius: 12px; }
p { color: var(--faint); margin: 0 0 1.25rem; }
label { display: block; font-weight: 600; margin: 0 0 1rem; }
input { display: block; width: 100%; margin-top: .3rem; padding: .55rem .7rem; font: inherit; color: inherit;
  background: var(--ground); border: 1px solid var(--line); border-radius: 8px; }
button { width: 100%; padding: .65rem; font: inherit; font-weight: 600; color: #fff; background: #0b6bcb; border: 0; border-radius: 8px; cursor: pointer; }
button:disabled { opacity: .6; cursor: default; }
#said { margin: 1rem 0 0; min-height: 1.5em; color: var(--delete); }
#said.good { color: var(--post); }
`;

const script = `
const form = document.querySelector("form");
const said = document.querySelector("#said");
const button = document.querySelector("button");
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
function say(text, isGood) {
  said.textContent = text;
  said.className = isGood ? "good" : "";
}
if (token === "") say(form.dataset.incomplete);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  try {
    const [username, password] = ["username", "password"].map((name) => form.elements[name].value);
    const answer = await fetch("/auth/setup", {
      method: "POST",
      headers: { "content-type": "application/json", "accept-language": document.documentElement.lang },
      body: JSON.stringify({ setup_token: token, username, password }),
    });
    if (answer.ok) {
      form.querySelectorAll("input").forEach((input) => { input.disabled = true; });
      return say(form.dataset.done, true);
    }
    say(answer.status === 401 ? form.dataset.dead : (await answer.json()).detail);
  } catch {
    say(form.dataset.unreachable);
  }
  button.disabled = false;
});
`;

const words = {
  en: {
    title: "Set up glm-proxy",
    intro: "This makes the first administrator. The link works once.",
    name: "User name",
    password: "Password (at least 8 characters)",
    submit: "Create the administrator",
    incomplete: "The link is not complete: open the one in the gateway's log.",
    dead: "This link is not good any more. Restart the gateway for a new one, or run glm-proxy user add --admin.",
    done: "Done. You can log in now.",
    unreachable: "The gateway can't be reached.",
  },
  zh: {
    title: "设置 glm-proxy",
    intro: "创建第一个管理员。此链接只能使用一次。",
    name: "用户名",
    password: "密码（至少 8 个字符）",
    submit: "创建管理员",
    incomplete: "链接不完整：请打开网关日志中的链接。",
    dead: "此链接已失效。请重启网关获取新链接，或运行 glm-proxy user add --admin。",
    done: "完成，现在可以登录了。",
    unreachable: "无法连接网关。",
  },
} as const;

export const setupPageHeaders = pageHeaders({ style, script });

export function renderSetupPage(language: Language): string {
  const w = words[language];
  const body = `<main>
<h1>${w.title}</h1>
<p>${w.intro}</p>
<form method="post" data-incomplete="${w.incomplete}" data-dead="${w.dead}" data-done="${w.done}" data-unreachable="${w.unreachable}">
<label>${w.name}<input name="username" autocomplete="username" maxlength="128" required autofocus></label>
<label>${w.password}<input name="password" type="password" autocomplete="new-password" minlength="8" required></label>
<button>${w.submit}</button>
<div id="said" role="status"></div>
</form>
</main>`;
  return renderPage({ style, script }, { language, title: w.title, body });
}
