"""The Python client of the manual, on the standard library alone: logs in, chats, and comes back as it is told to.

Run as a program it reads one JSON object a line: first {"url", "username", "password", "sleep_seconds_max"}, then a chat
each, {"prompt", "stream"}. It answers with lines too: {"text"} for each piece as it comes, then {"done"} or {"error"}.
"""

import http.client
import json
import sys
import time
from urllib.parse import urlsplit

# Seconds, from the manual's table, for refusals that do not tell when to come back.
MANUAL_WAITS = {408: 2.5, 429: 4.0, 504: 7.5}
TRIES_MAX = 4
MODEL = "glm-4.5-flash"


class GatewayError(Exception):
    def __init__(self, status, code, message):
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code


class ProxyGLMClient:
    def __init__(self, url, username, password, sleep_seconds_max=60.0, timeout=60.0):
        self.address = urlsplit(url)
        self.credentials = {"username": username, "password": password}
        self.sleep_seconds_max = sleep_seconds_max
        self.timeout = timeout
        self.token = None
        self.logins = 0
        # (status, seconds) of each wait that was advised.
        self.waited = []

    def log_in(self):
        connection, response = self._post("/auth/login", self.credentials)
        try:
            if response.status != 200:
                raise read_error(response)
            self.token = json.loads(response.read())["token"]
            self.logins += 1
        finally:
            connection.close()

    def chat(self, messages, model=MODEL, stream=True, **parameters):
        """Yields the text of the answer, in the pieces in which it comes."""
        body = {"model": model, "messages": messages, "stream": stream, **parameters}
        connection, response = self._open(body)
        try:
            if stream:
                yield from read_stream(response)
            else:
                yield json.loads(response.read())["choices"][0]["message"]["content"]
        finally:
            connection.close()

    def _open(self, body):
        """Posts until it is let in, or until there is no sense in another try."""
        for left in reversed(range(TRIES_MAX)):
            if self.token is None:
                self.log_in()
            connection, response = self._post("/chat/completions", body)
            if response.status == 200:
                return connection, response
            error = read_error(response)
            connection.close()
            if left == 0 or (error.status != 401 and error.status not in MANUAL_WAITS):
                raise error
            if error.status == 401:
                self.token = None
            else:
                self._wait(error.status, response.headers)

    def _wait(self, status, headers):
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        else:
            seconds = float(headers.get("retry-after", MANUAL_WAITS[status]))
        self.waited.append((status, seconds))
        time.sleep(min(seconds, self.sleep_seconds_max))

    def _post(self, path, body):
        connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=self.timeout)
        headers = {"Content-Type": "application/json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        connection.request("POST", self.address.path + path, json.dumps(body).encode(), headers)
        return connection, connection.getresponse()


def read_error(response):
    error = json.loads(response.read())["error"]
    return GatewayError(response.status, error["code"], error["message"])


def read_stream(response):
    """A stream is whole only with its [DONE]: without one the answer was cut, whatever the connection says."""
    for line in response:
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        event = json.loads(data)
        if "error" in event:
            raise GatewayError(response.status, event["error"]["code"], event["error"]["message"])
        for choice in event["choices"]:
            text = choice["delta"].get("content")
            if text:
                yield text
    raise GatewayError(response.status, "cut", "the stream ended without [DONE]")


def say(event):
    print(json.dumps(event), flush=True)


def main():
    client = ProxyGLMClient(**json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        wish = json.loads(line)
        client.waited.clear()
        try:
            messages = [{"role": "user", "content": wish["prompt"]}]
            for text in client.chat(messages, stream=wish["stream"], thinking={"type": "disabled"}):
                say({"text": text})
            say({"done": True, "logins": client.logins, "waited": client.waited})
        except GatewayError as error:
            say({"error": error.code, "status": error.status, "message": str(error), "waited": client.waited})


if __name__ == "__main__":
    main()
