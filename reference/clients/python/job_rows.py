import json
import math
import os
import re

import openai
from matching import expect_match, expect_refusal, one_of, or_none, some
from setting import row

FTJOB = re.compile("^ftjob-")
JOB = {
    "id": FTJOB,
    "object": "fine_tuning.job",
    "created_at": int,
    "error": or_none({"code": str, "message": str}),
    "fine_tuned_model": or_none(str),
    "finished_at": or_none(int),
    "hyperparameters": {"n_epochs": one_of("auto", 1, 2)},
    "model": "graft-tiny",
    "organization_id": str,
    "result_files": lambda files: isinstance(files, list),
    "seed": int,
    "trained_tokens": or_none(int),
    "training_file": re.compile("^file-"),
    "validation_file": or_none(re.compile("^file-")),
    "estimated_finish": or_none(int),
    "method": {"type": "supervised", "supervised": {"hyperparameters": {}}},
}
EVENT = {
    "id": re.compile("^ftevent-"),
    "object": "fine_tuning.job.event",
    "created_at": int,
    "level": one_of("info", "warn", "error"),
    "message": str,
    "type": one_of("message", "metrics"),
}


@row("fineTuning.jobs.create", "with all that OpenAI has")
def _(s):
    files = {"training_file": s.dataset_file(), "validation_file": s.dataset_file()}
    hyperparameters = {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": "auto"}
    job = s.client.fine_tuning.jobs.create(
        model="graft-tiny",
        **files,
        suffix="full",
        seed=7,
        metadata={"team": "blue"},
        method={"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
    )
    expect_match(job, {**JOB, **files, "status": "validating_files", "seed": 7, "metadata": {"team": "blue"}, "hyperparameters": hyperparameters})
    s.client.fine_tuning.jobs.cancel(job.id)


def pair(number):
    """Two answers, as OpenAI has them."""
    answer = lambda content: [{"role": "assistant", "content": content}]
    asked = {"messages": [{"role": "user", "content": f"What is {number} and {number}?"}]}
    return json.dumps({"input": asked, "preferred_output": answer(f"It is {2 * number}."), "non_preferred_output": answer("Who knows?")}) + "\n"


@row("fineTuning.jobs.create", "with DPO, to its end")
def _(s):
    training_file = s.dataset_file("".join(pair(number) for number in range(4)))
    hyperparameters = {"n_epochs": 1, "batch_size": 2, "beta": 0.2, "learning_rate_multiplier": "auto"}
    method = {"type": "dpo", "dpo": {"hyperparameters": hyperparameters}}
    made = s.new_job(training_file=training_file, method=method)
    expect_match(made, {**JOB, "training_file": training_file, "method": method})
    job = s.succeeded(made.id)
    resolved = {"type": "dpo", "dpo": {"hyperparameters": {**hyperparameters, "learning_rate_multiplier": float}}}
    expect_match(job, {**JOB, "training_file": training_file, "method": resolved, "fine_tuned_model": re.compile("^ft:graft-tiny:")})
    steps = [event.data for event in s.client.fine_tuning.jobs.list_events(job.id, limit=100).data if event.type == "metrics"]
    expect_match(len(steps), 2)  # four pairs in batches of two
    # Before the first step, the model is its reference: each pair loses ln 2.
    expect_match(steps[-1], {"step": 1, "train_loss": lambda loss: abs(loss - math.log(2)) < 1e-4, "train_rewards/margins": float})


@row("fineTuning.jobs.create", "with the deprecated hyperparameters")
def _(s):
    job = s.new_job(hyperparameters={"n_epochs": 2})
    expect_match(job, {**JOB, "hyperparameters": {"n_epochs": 2}})
    s.client.fine_tuning.jobs.cancel(job.id)


@row("fineTuning.jobs.create", "with a run of Weights & Biases")
def _(s):
    integration = {"type": "wandb", "wandb": {"project": "grafts", "name": "one", "tags": ["a"]}}
    job = s.new_job(integrations=[integration])
    expect_match(job.integrations[0], integration)
    events = s.client.fine_tuning.jobs.list_events(job.id).data
    expect_match(any(event.level == "warn" and re.search("wandb|weights", event.message, re.I) for event in events), True)
    s.client.fine_tuning.jobs.cancel(job.id)


@row("fineTuning.jobs.create", "from what another job shows")
def _(s):
    job = s.new_job(suffix="again", metadata={"team": "green"})
    s.client.fine_tuning.jobs.cancel(job.id)
    shown = s.client.fine_tuning.jobs.retrieve(job.id).to_dict()
    again = s.client.fine_tuning.jobs.create(model=shown.pop("model"), training_file=shown.pop("training_file"), seed=11, extra_body={**shown, "seed": 11})
    expect_match(again, {**JOB, "id": lambda found: found != job.id, "seed": 11, "metadata": {"team": "green"}})
    s.client.fine_tuning.jobs.cancel(again.id)


@row("fineTuning.jobs.create", "with an unknown model, an unknown file or an unknown field")
def _(s):
    body = {"model": "graft-tiny", "training_file": s.dataset_file()}
    create = lambda **more: lambda: s.client.fine_tuning.jobs.create(**{**body, **more})
    expect_refusal(create(model="gpt-4o-mini"), openai.APIStatusError, {"status_code": one_of(400, 404), "code": "model_not_found", "param": "model"})
    expect_refusal(create(training_file="file-none"), openai.APIStatusError, {"status_code": one_of(400, 404), "param": "training_file"})
    expect_refusal(create(extra_body={"trainingfile": "x"}), openai.BadRequestError, {"param": re.compile("trainingfile")})


@row("fineTuning.jobs.create", "with a method that is not there")
def _(s):
    expect_refusal(lambda: s.new_job(method={"type": "reinforcement"}), openai.BadRequestError, {"message": re.compile("supervised")})


@row("fineTuning.jobs.create", "with the same Idempotency-Key, and with another body")
def _(s):
    body = {"model": "graft-tiny", "training_file": s.dataset_file(), "extra_headers": {"Idempotency-Key": f"jobs-{os.getpid()}"}}
    jobs = s.client.with_options(max_retries=0).fine_tuning.jobs
    job = jobs.create(**body)
    expect_match(jobs.create(**body), {"id": job.id})
    expect_refusal(lambda: jobs.create(**body, seed=5), openai.ConflictError, {"code": "idempotency_key_reused"})
    jobs.cancel(job.id)


@row("fineTuning.jobs.retrieve", "of one that has succeeded")
def _(s):
    expect_match(
        s.trained(),
        {
            **JOB,
            "status": "succeeded",
            "error": None,
            "fine_tuned_model": re.compile("^ft:graft-tiny:[^:]+:conformance:"),
            "finished_at": int,
            "trained_tokens": lambda tokens: tokens > 0,
            "hyperparameters": {"n_epochs": int, "batch_size": int, "learning_rate_multiplier": float},
            "result_files": some(lambda file_id: file_id.startswith("file-")),
        },
    )


@row("fineTuning.jobs.retrieve", "of an unknown one")
def _(s):
    expected = {"code": "fine_tune_not_found", "type": "invalid_request_error"}
    expect_refusal(lambda: s.client.fine_tuning.jobs.retrieve("ftjob-none"), openai.NotFoundError, expected)


@row("fineTuning.jobs.list", "in pages of one")
def _(s):
    made = [s.new_job().id, s.new_job().id]
    seen = []
    for job in s.client.fine_tuning.jobs.list(limit=1):
        if job.id in made:
            seen.append(job.id)
        if len(seen) == len(made):
            break
    expect_match(seen, made[::-1])
    for job_id in made:
        s.client.fine_tuning.jobs.cancel(job_id)


@row("fineTuning.jobs.list", "of those with some metadata, and of those without")
def _(s):
    batch = f"batch-{os.getpid()}"
    marked, plain = s.new_job(metadata={"batch": batch}), s.new_job()
    expect_match([job.id for job in s.client.fine_tuning.jobs.list(metadata={"batch": batch}, limit=100).data], [marked.id])
    # This client leaves None out, which is no filter; `metadata=null` says it in words.
    without = [job.id for job in s.client.fine_tuning.jobs.list(limit=100, extra_query={"metadata": "null"}).data]
    expect_match([plain.id in without, marked.id in without], [True, False])
    for job in [marked, plain]:
        s.client.fine_tuning.jobs.cancel(job.id)


@row("fineTuning.jobs.pause", "of a new job")
def _(s):
    job = s.new_job()
    # Its type has no `paused`, as OpenAI's job has it in its documentation only.
    expect_match(s.client.fine_tuning.jobs.pause(job.id), {**JOB, "id": job.id, "status": "paused"})
    s.client.fine_tuning.jobs.cancel(job.id)


@row("fineTuning.jobs.resume", "of a paused job")
def _(s):
    job = s.new_job()
    s.client.fine_tuning.jobs.pause(job.id)
    expect_match(s.client.fine_tuning.jobs.resume(job.id), {**JOB, "id": job.id, "status": one_of("validating_files", "queued", "running")})
    s.client.fine_tuning.jobs.cancel(job.id)


@row("fineTuning.jobs.cancel", "of a new job, and again")
def _(s):
    job = s.new_job()
    expect_match(s.client.fine_tuning.jobs.cancel(job.id), {**JOB, "id": job.id, "status": "cancelled", "finished_at": int})
    expect_refusal(lambda: s.client.fine_tuning.jobs.cancel(job.id), openai.BadRequestError, {"type": "invalid_request_error"})


@row("fineTuning.jobs.listEvents", "of one that has succeeded, in pages of two")
def _(s):
    events = list(s.client.fine_tuning.jobs.list_events(s.trained().id, limit=2))
    for event in events:
        expect_match(event, EVENT)
    expect_match(len({event.id for event in events}), len(events))
    metrics = next(event for event in events if event.type == "metrics")
    expect_match(metrics.data, {"step": int, "total_steps": int, "train_loss": float, "train_mean_token_accuracy": float})


@row("fineTuning.jobs.checkpoints.list", "of one that has succeeded, in pages of one")
def _(s):
    job = s.trained()
    checkpoints = list(s.client.fine_tuning.jobs.checkpoints.list(job.id, limit=1))
    for checkpoint in checkpoints:
        expected = {
            "id": re.compile("^ftckpt_"),
            "object": "fine_tuning.job.checkpoint",
            "created_at": int,
            "fine_tuning_job_id": job.id,
            "fine_tuned_model_checkpoint": re.compile("^ft:graft-tiny:"),
            "step_number": int,
            "metrics": {"step": float, "train_loss": float},
        }
        expect_match(checkpoint, expected)
    expect_match(len(checkpoints) > 1, True)


@row("fineTuning.jobs.create", "from a checkpoint of a tuned model")
def _(s):
    model = s.client.fine_tuning.jobs.checkpoints.list(s.trained().id).data[-1].fine_tuned_model_checkpoint
    job = s.new_job(model=model)
    expect_match(job, {**JOB, "model": model})
    s.client.fine_tuning.jobs.cancel(job.id)


@row("files.content", "of a result file")
def _(s):
    files = [s.client.files.retrieve(file_id) for file_id in s.trained().result_files]
    metrics = next(file for file in files if file.filename == "step_metrics.csv")
    expect_match(metrics, {"purpose": "fine-tune-results", "status": "processed"})
    expect_match(s.client.files.content(metrics.id).text.startswith("step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"), True)
