"""Python clients as their users have them, each asked for the same things.

Called with a client's name; the gateway's address, a key and a model come from the environment. Prints a line for each
thing that was seen to work, and fails at the first that does not.
"""

import json
import os
import sys

URL = os.environ["GLM_PROXY_URL"]
KEY = os.environ["GLM_PROXY_KEY"]
MODEL = "glm-4.5-flash"
FEW = "say something [frames=6] [reasoning=1]"
LONG = "a long story [frames=2000] [reasoning=1] [delay=10]"
TOOL = "what does get_weather say of Beijing? [reasoning=1]"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "Tells the weather", "parameters": SCHEMA}}
]


def ask(prompt, model=MODEL):
    return {"model": model, "messages": [{"role": "user", "content": prompt}]}


def delta_text(chunk):
    return (chunk.choices[0].delta.content or "") if chunk.choices else ""


def check(name, is_so, seen=""):
    if not is_so:
        raise SystemExit(f"{name} failed: {seen}")
    print(name, flush=True)


def check_chat_client(create, error_type):
    """For clients whose `create` takes what OpenAI's does."""
    answer = create(**ask(FEW))
    check("whole", len(answer.choices[0].message.content) > 5, answer)
    pieces = [text for text in map(delta_text, create(**ask(FEW), stream=True)) if text]
    check("stream", len(pieces) >= 5, pieces)
    call = create(**ask(TOOL), tools=TOOLS).choices[0].message.tool_calls[0].function
    check("tools", call.name == "get_weather" and "city" in json.loads(call.arguments), call)
    try:
        create(**ask("x", model="no-such-model"))
        check("errors", False, "it did not fail")
    except error_type as error:
        check("errors", getattr(error, "status_code", None) == 400, repr(error))


def leave(stream, close):
    for _ in stream:
        break
    close()
    print("abort", flush=True)


def run_openai():
    import openai

    client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY)
    check_chat_client(client.chat.completions.create, openai.APIStatusError)
    response = client.responses.create(model=MODEL, input=FEW)
    check("responses", len(response.output_text) > 5, response)
    with client.responses.stream(model=MODEL, input=FEW) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        check("responses stream", text == stream.get_final_response().output_text and len(text) > 5, text)
    check("embeddings", len(client.embeddings.create(model="embedding-3", input="x").data) == 1)
    file = client.files.create(file=("batch.jsonl", b'{"custom_id":"1"}\n'), purpose="batch")
    check("files", client.files.content(file.id).read() == b'{"custom_id":"1"}\n', file)
    check("models", MODEL in [model.id for model in client.models.list()])
    stream = client.chat.completions.create(**ask(LONG), stream=True)
    leave(stream, stream.close)


def run_anthropic():
    import anthropic

    client = anthropic.Anthropic(base_url=URL, auth_token=KEY)
    more = {"max_tokens": 1000}
    answer = client.messages.create(**ask(FEW), **more)
    check("whole", any(block.type == "text" and len(block.text) > 5 for block in answer.content), answer)
    with client.messages.stream(**ask(FEW), **more) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    text = "".join(block.text for block in final.content if block.type == "text")
    check("stream", len(pieces) >= 5 and "".join(pieces) == text, pieces)
    tool = {"name": "get_weather", "description": "Tells the weather", "input_schema": SCHEMA}
    with client.messages.stream(**ask(TOOL), **more, tools=[tool]) as stream:
        used = [block for block in stream.get_final_message().content if block.type == "tool_use"]
    check("tools", used and used[0].name == "get_weather" and "city" in used[0].input, used)
    try:
        client.messages.create(**ask("x", model="no-such-model"), **more)
        check("errors", False, "it did not fail")
    except anthropic.APIStatusError as error:
        check("errors", error.status_code == 400, repr(error))
    counted = client.messages.count_tokens(**ask(FEW))
    check("count_tokens", counted.input_tokens > 0, counted)
    with client.messages.stream(**ask(LONG), **more) as stream:
        leave(stream.text_stream, stream.close)


def run_zai():
    import zai

    client = zai.ZhipuAiClient(base_url=f"{URL}/api/paas/v4", api_key=KEY)
    check_chat_client(client.chat.completions.create, zai.core.APIStatusError)
    check("embeddings", len(client.embeddings.create(model="embedding-3", input="x").data) == 1)
    task = client.chat.asyncCompletions.create(**ask(FEW))
    while True:
        result = client.chat.asyncCompletions.retrieve_completion_result(id=task.id)
        if result.task_status != "PROCESSING":
            break
    check("async", result.task_status == "SUCCESS" and len(result.choices[0].message.content) > 5, result)
    found = client.web_search.web_search(search_engine="search_std", search_query="x")
    check("web_search", found is not None, found)


def run_litellm():
    import litellm

    def create(**asked):
        model = asked.pop("model")
        return litellm.completion(model=f"openai/{model}", api_base=f"{URL}/v1", api_key=KEY, **asked)

    check_chat_client(create, Exception)


CLIENTS = {"openai": run_openai, "anthropic": run_anthropic, "zai-sdk": run_zai, "litellm": run_litellm}

if __name__ == "__main__":
    CLIENTS[sys.argv[1]]()
