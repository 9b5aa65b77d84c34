import asyncio
import re

import openai
from matching import expect_match, expect_refusal
from setting import row

QUESTION = "What is the capital of France?"
ANSWER = "The capital of France is Paris."
ASKED = {"model": "graft-tiny", "messages": [{"role": "user", "content": QUESTION}], "temperature": 0}
COMPLETION = {
    "id": re.compile("^chatcmpl-"),
    "object": "chat.completion",
    "created": int,
    "model": "graft-tiny",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": int, "completion_tokens": int, "total_tokens": int},
}
RESPONSE = {"id": re.compile("^resp_"), "object": "response", "status": "completed", "model": "graft-tiny", "output_text": ANSWER}


@row("chat.completions.create", "of a base model")
def _(s):
    expect_match(s.client.chat.completions.create(**ASKED), COMPLETION)


@row("chat.completions.create", "by the asynchronous client")
def _(s):
    async def ask():
        async with openai.AsyncOpenAI() as client:
            return await client.chat.completions.create(**ASKED)

    expect_match(asyncio.run(ask()), COMPLETION)


@row("chat.completions.create", "of a tuned model and its checkpoint")
def _(s):
    job = s.trained()
    checkpoint = s.client.fine_tuning.jobs.checkpoints.list(job.id).data[0].fine_tuned_model_checkpoint
    for model in [job.fine_tuned_model, checkpoint]:
        answer = s.client.chat.completions.create(**{**ASKED, "model": model, "max_completion_tokens": 8})
        expect_match(answer.choices, [{"message": {"role": "assistant", "content": str}}])


@row("chat.completions.create", "with stream, piece by piece, with its usage")
def _(s):
    text, usage = "", None
    for chunk in s.client.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True}):
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        usage = chunk.usage
    expect_match([text, usage.completion_tokens], [ANSWER, int])


@row("chat.completions.create", "with n, seed, stop and logprobs")
def _(s):
    answer = s.client.chat.completions.create(**ASKED, n=2, seed=1, stop=[" of"], logprobs=True, top_logprobs=2)
    token = {"token": "The", "logprob": float, "top_logprobs": [{"token": "The"}, {}]}
    choice = {"message": {"content": "The capital"}, "logprobs": {"content": [token, {"token": " capital"}]}}
    expect_match(answer.choices, [choice, choice])


@row("chat.completions.create", "of an unknown model, and with a prompt that is too long")
def _(s):
    create = lambda **body: s.client.chat.completions.create(**{**ASKED, **body})
    expect_refusal(lambda: create(model="none"), openai.NotFoundError, {"code": "model_not_found"})
    messages = [{"role": "user", "content": "word " * 20_000}]
    expect_refusal(lambda: create(messages=messages), openai.BadRequestError, {"code": "context_length_exceeded"})


@row("chat.completions.stream", "to its end")
def _(s):
    with s.client.chat.completions.stream(**ASKED) as stream:
        expect_match(stream.get_final_completion().choices[0].message.content, ANSWER)


@row("chat.completions.parse", "of text")
def _(s):
    expect_match(s.client.chat.completions.parse(**ASKED).choices, [{"message": {"content": ANSWER}}])


@row("completions.create", "of two texts")
def _(s):
    answer = s.client.completions.create(model="graft-tiny", prompt=["The", "A"], max_tokens=2, temperature=0, logprobs=1)
    choice = {"text": str, "finish_reason": "length", "logprobs": {"token_logprobs": [float, float]}}
    expect_match(answer.choices, [{**choice, "index": 0}, {**choice, "index": 1}])


@row("responses.create", "of a base model")
def _(s):
    expect_match(s.client.responses.create(model="graft-tiny", input=QUESTION, temperature=0), RESPONSE)


@row("responses.create", "with stream, event by event")
def _(s):
    types = [event.type for event in s.client.responses.create(model="graft-tiny", input=QUESTION, stream=True)]
    expect_match([types[0], types[-1]], ["response.created", "response.completed"])


@row("responses.stream", "to its end")
def _(s):
    with s.client.responses.stream(model="graft-tiny", input=[{"role": "user", "content": QUESTION}], temperature=0) as stream:
        expect_match(stream.get_final_response(), RESPONSE)


@row("responses.parse", "of text")
def _(s):
    expect_match(s.client.responses.parse(model="graft-tiny", input=QUESTION, temperature=0), RESPONSE)
