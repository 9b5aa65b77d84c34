"""What the client does with any answer: errors as classes, retries, timeouts, ids of requests."""

import asyncio
import re

import openai
from matching import expect_match, expect_refusal
from setting import row

TRANSPORT = "any method"
# Shorter than the `late` fault holds an answer.
TIMEOUT_S = 0.3


@row(TRANSPORT, "with a wrong key is an AuthenticationError")
def _(s):
    call = lambda: s.client.with_options(api_key="wrong").models.list()
    expect_refusal(call, openai.AuthenticationError, {"status_code": 401, "code": "invalid_api_key"})


@row(TRANSPORT, "that is refused has message, type, param, code and the id of its request")
def _(s):
    expected = {"status_code": 400, "message": str, "type": "invalid_request_error", "param": "limit", "code": str, "request_id": str}
    expect_refusal(lambda: s.client.fine_tuning.jobs.list(limit=-1), openai.BadRequestError, expected)


@row(TRANSPORT, "of an administrator, with the key of a project, is a PermissionDeniedError")
def _(s):
    projects = s.client.admin.organization.projects
    project = projects.create(name="rows")
    key = projects.service_accounts.create(project.id, name="robot").api_key.value
    call = lambda: s.client.with_options(admin_api_key=key).admin.organization.projects.list()
    expect_refusal(call, openai.PermissionDeniedError, {"status_code": 403})
    projects.archive(project.id)


@row(TRANSPORT, "gives the id of its request")
def _(s):
    expect_match(s.client.models.retrieve("graft-tiny")._request_id, str)


@row(TRANSPORT, "gives its raw response")
def _(s):
    raw = s.client.models.with_raw_response.retrieve("graft-tiny")
    expect_match(raw.status_code, 200)
    expect_match(raw.parse().id, "graft-tiny")


@row(TRANSPORT, "by the asynchronous client")
def _(s):
    async def ask():
        async with s.asynchronous() as client:
            return await client.models.retrieve("graft-tiny")

    expect_match(asyncio.run(ask()), {"id": "graft-tiny"})


@row(TRANSPORT, "reads address and key from OPENAI_BASE_URL and OPENAI_API_KEY")
def _(_):
    expect_match(openai.OpenAI().models.retrieve("graft-tiny"), {"id": "graft-tiny"})


@row(TRANSPORT, "whose answer was cut is sent again by itself")
def _(s):
    expect_match(s.through("cut", "get").models.retrieve("graft-tiny"), {"id": "graft-tiny"})


@row(TRANSPORT, "that creates a job, and whose answer was cut, makes one job")
def _(s):
    training_file = s.dataset_file()
    job = s.through("cut", "create").fine_tuning.jobs.create(model="graft-tiny", training_file=training_file)
    made = [one.id for one in s.client.fine_tuning.jobs.list(limit=100).data if one.training_file == training_file]
    expect_match(made, [job.id])
    s.client.fine_tuning.jobs.cancel(job.id)


@row(TRANSPORT, "that is answered 503 with retry-after is sent again by itself")
def _(s):
    expect_match(s.through("busy", "get").models.retrieve("graft-tiny"), {"id": "graft-tiny"})


@row(TRANSPORT, "that is answered 503, without retries, is an InternalServerError")
def _(s):
    expect_refusal(lambda: s.through("busy", "once", max_retries=0).models.list(), openai.InternalServerError, {"status_code": 503})


@row(TRANSPORT, "that is answered too late is an APIConnectionTimeoutError")
def _(s):
    expect_refusal(lambda: s.through("late", "get", max_retries=0, timeout=TIMEOUT_S).models.list(), openai.APITimeoutError)


@row(TRANSPORT, "that reaches nobody is an APIConnectionError")
def _(s):
    # Port 9 is for discarding what comes; nothing listens there.
    client = s.client.with_options(base_url="http://127.0.0.1:9/v1", max_retries=0)
    expect_refusal(lambda: client.models.list(), openai.APIConnectionError)


@row(TRANSPORT, "without /v1 in its address is told so")
def _(s):
    client = s.client.with_options(base_url=s.base_url.replace("/v1", ""))
    expect_refusal(lambda: client.models.list(), openai.NotFoundError, {"message": re.compile("/v1")})
