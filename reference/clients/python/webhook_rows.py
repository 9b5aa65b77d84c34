import base64
import contextlib
import hashlib
import hmac
import http.server
import queue
import re
import secrets
import threading
import time

import openai
from matching import expect_match, expect_refusal
from setting import row

EVENTS = ["fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled"]
ENDPOINT = {
    "id": str,
    "object": "webhook_endpoint",
    "name": "rows",
    "created_at": int,
    "updated_at": int,
    "event_types": lambda types: isinstance(types, list),
    "url": str,
}
# The service sends within a few seconds of what ends a job.
DELIVERED_WITHIN_S = 30


@contextlib.contextmanager
def receiver():
    """A server that receives webhooks, as a user of the service would run one: its address, and a function that waits for a delivery."""
    received = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            self.send_response(200)
            self.end_headers()
            received.put((body, dict(self.headers)))

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def next_with(text):
        deadline = time.monotonic() + DELIVERED_WITHIN_S
        while True:
            body, headers = received.get(timeout=max(0.01, deadline - time.monotonic()))
            if text in body:
                return body, headers

    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", next_with
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def endpoint(s):
    with receiver() as (url, next_with):
        made = s.client.webhooks.create(name="rows", url=url, event_types=EVENTS)
        try:
            yield made, next_with
        finally:
            s.client.webhooks.delete(made.id)


def cancelled_job(s):
    job = s.new_job()
    s.client.fine_tuning.jobs.cancel(job.id)
    return job.id


def signed(secret, body, at):
    """Signs as Standard Webhooks says, for what no service need be asked."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.new(key, f"msg_1.{at}.{body}".encode(), hashlib.sha256).digest()).decode()
    return {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": f"v1,{signature}"}


def new_secret():
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


@row("webhooks.unwrap", "of the delivery for a job that was cancelled")
def _(s):
    with endpoint(s) as (made, next_with):
        job_id = cancelled_job(s)
        body, headers = next_with(job_id)
        event = s.client.webhooks.unwrap(body, headers, secret=made.signing_secret)
        expect_match(event, {"id": str, "object": "event", "type": EVENTS[2], "created_at": int, "data": {"id": job_id}})


@row("webhooks.verifySignature", "of a delivery with the right secret, and with another")
def _(s):
    with endpoint(s) as (made, next_with):
        body, headers = next_with(cancelled_job(s))
        s.client.webhooks.verify_signature(body, headers, secret=made.signing_secret)
        expect_refusal(lambda: s.client.webhooks.verify_signature(body, headers, secret=new_secret()), openai.InvalidWebhookSignatureError)


@row("webhooks.verifySignature", "of one that is older than five minutes")
def _(s):
    secret, now = new_secret(), int(time.time())
    s.client.webhooks.verify_signature("{}", signed(secret, "{}", now), secret=secret)
    old = signed(secret, "{}", now - 301)
    expect_refusal(lambda: s.client.webhooks.verify_signature("{}", old, secret=secret), openai.InvalidWebhookSignatureError)


@row("webhooks.create", "with a secret that is shown once")
def _(s):
    made = s.client.webhooks.create(name="rows", url="https://example.com/hook", event_types=EVENTS)
    expect_match(made, {**ENDPOINT, "event_types": EVENTS, "url": "https://example.com/hook", "signing_secret": re.compile("^whsec_"), "signing_secret_hint": str})
    expect_match(s.client.webhooks.retrieve(made.id).to_dict(), {**ENDPOINT, "signing_secret": None, "signing_secret_hint": str})
    s.client.webhooks.delete(made.id)


@row("webhooks.create", "for an event that does not happen here")
def _(s):
    call = lambda: s.client.webhooks.create(name="rows", url="https://example.com/hook", event_types=["response.completed"])
    expect_refusal(call, openai.BadRequestError, {"message": re.compile(r"fine_tuning\.job\.succeeded")})


@row("webhooks.retrieve", "of an endpoint, and of an unknown one")
def _(s):
    with endpoint(s) as (made, _):
        expect_match(s.client.webhooks.retrieve(made.id), {**ENDPOINT, "id": made.id, "url": made.url})
        expect_refusal(lambda: s.client.webhooks.retrieve("we_none"), openai.NotFoundError)


@row("webhooks.update", "of its name and events")
def _(s):
    with endpoint(s) as (made, _):
        updated = s.client.webhooks.update(made.id, name="renamed", event_types=[EVENTS[1]])
        expect_match(updated, {**ENDPOINT, "id": made.id, "name": "renamed", "event_types": [EVENTS[1]]})


@row("webhooks.list", "in pages of one")
def _(s):
    with endpoint(s) as (first, _), endpoint(s) as (second, _):
        ids = [one.id for one in s.client.webhooks.list(limit=1)]
        expect_match([ids.count(first.id), ids.count(second.id)], [1, 1])


@row("webhooks.rotateSecret", "that keeps the old one active")
def _(s):
    with endpoint(s) as (made, next_with):
        rotated = s.client.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
        expect_match(rotated, {**ENDPOINT, "id": made.id, "signing_secret": lambda secret: secret != made.signing_secret})
        body, headers = next_with(cancelled_job(s))
        for secret in [made.signing_secret, rotated.signing_secret]:
            s.client.webhooks.verify_signature(body, headers, secret=secret)


@row("webhooks.rotateSecret", "that ends the old one")
def _(s):
    with endpoint(s) as (made, next_with):
        rotated = s.client.webhooks.rotate_secret(made.id)
        s.client.webhooks.test(made.id, event_type=EVENTS[0])
        body, headers = next_with(EVENTS[0])
        s.client.webhooks.verify_signature(body, headers, secret=rotated.signing_secret)
        old = lambda: s.client.webhooks.verify_signature(body, headers, secret=made.signing_secret)
        expect_refusal(old, openai.InvalidWebhookSignatureError)


@row("webhooks.test", "of an endpoint")
def _(s):
    with endpoint(s) as (made, next_with):
        result = s.client.webhooks.test(made.id, event_type=EVENTS[0])
        expected = {"object": "webhook_endpoint.test", "event_type": EVENTS[0], "status_code": 200, "success": True, "webhook_endpoint_id": made.id}
        expect_match(result, expected)
        body, headers = next_with(EVENTS[0])
        expect_match(s.client.webhooks.unwrap(body, headers, secret=made.signing_secret), {"object": "event", "type": EVENTS[0]})


@row("webhooks.delete", "of an endpoint")
def _(s):
    made = s.client.webhooks.create(name="rows", url="https://example.com/hook", event_types=EVENTS)
    expect_match(s.client.webhooks.delete(made.id), {"id": made.id, "object": "webhook_endpoint.deleted", "deleted": True})
    expect_refusal(lambda: s.client.webhooks.retrieve(made.id), openai.NotFoundError)


@row("webhooks.eventTypes.list", "of all that happens here")
def _(s):
    expect_match(s.client.webhooks.event_types.list(), {"object": "list", "data": lambda types: set(EVENTS) <= set(types)})
