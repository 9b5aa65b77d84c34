import contextlib
import re

import openai
from matching import expect_match, expect_refusal
from setting import row

MODEL = {"object": "model", "created": int, "owned_by": str}
PERMISSION = {"id": str, "object": "checkpoint.permission", "created_at": int}


@row("models.list", "to its end")
def _(s):
    models = list(s.client.models.list())
    for model in models:
        expect_match(model, MODEL)
    ids = [model.id for model in models]
    expect_match(["graft-tiny" in ids, s.trained().fine_tuned_model in ids], [True, True])


@row("models.retrieve", "of a base model")
def _(s):
    expect_match(s.client.models.retrieve("graft-tiny"), {**MODEL, "id": "graft-tiny"})


@row("models.retrieve", "of a tuned model")
def _(s):
    model_id = s.trained().fine_tuned_model
    expect_match(s.client.models.retrieve(model_id), {**MODEL, "id": model_id})


@row("models.retrieve", "of an unknown model")
def _(s):
    expected = {"code": "model_not_found", "type": "invalid_request_error"}
    expect_refusal(lambda: s.client.models.retrieve("ft:none:x:y:z"), openai.NotFoundError, expected)


@row("models.delete", "of a base model, and of a tuned model")
def delete_models(s):
    """After everything else, because it takes the model away."""
    expect_refusal(lambda: s.client.models.delete("graft-tiny"), openai.APIStatusError)
    model_id = s.trained().fine_tuned_model
    expect_match(s.client.models.delete(model_id), {"id": model_id, "object": "model", "deleted": True})
    expect_refusal(lambda: s.client.models.retrieve(model_id), openai.NotFoundError)


@contextlib.contextmanager
def shared(s):
    """A checkpoint, and the permission of another project to use it."""
    checkpoint = s.client.fine_tuning.jobs.checkpoints.list(s.trained().id).data[0].fine_tuned_model_checkpoint
    project = s.client.admin.organization.projects.create(name="sharing")
    permissions = s.client.fine_tuning.checkpoints.permissions.create(checkpoint, project_ids=[project.id]).data
    expect_match(permissions, [{**PERMISSION, "project_id": project.id}])
    yield checkpoint, permissions[0]
    s.client.admin.organization.projects.archive(project.id)


@row("fineTuning.checkpoints.permissions.create", "for another project")
def _(s):
    with shared(s):
        pass


@row("fineTuning.checkpoints.permissions.list", "of a checkpoint")
def _(s):
    with shared(s) as (checkpoint, permission):
        found = s.client.fine_tuning.checkpoints.permissions.list(checkpoint, project_id=permission.project_id, order="descending", limit=5)
        expect_match([one.id for one in found.data], [permission.id])


@row("fineTuning.checkpoints.permissions.retrieve", "of a checkpoint")
def _(s):
    with shared(s) as (checkpoint, permission):
        found = s.client.fine_tuning.checkpoints.permissions.retrieve(checkpoint, project_id=permission.project_id)
        expect_match(found, {"object": "list", "has_more": bool, "first_id": str, "last_id": str, "data": [{"id": permission.id}]})


@row("fineTuning.checkpoints.permissions.delete", "of one permission")
def _(s):
    with shared(s) as (checkpoint, permission):
        permissions = s.client.fine_tuning.checkpoints.permissions
        deleted = permissions.delete(permission.id, fine_tuned_model_checkpoint=checkpoint)
        expect_match(deleted, {"id": permission.id, "object": "checkpoint.permission", "deleted": True})
        expect_match(permissions.list(checkpoint, project_id=permission.project_id).data, [])


EQUAL = {"type": "string_check", "name": "equal", "operation": "eq", "input": "{{sample.output_text}}", "reference": "{{item.answer}}"}
SIMILAR = {
    "type": "text_similarity",
    "name": "similar",
    "evaluation_metric": "fuzzy_match",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
}
BOTH = {"type": "multi", "name": "both", "graders": {"equal": EQUAL, "similar": SIMILAR}, "calculate_output": "0.5 * equal + 0.5 * similar"}
JUDGED = {"type": "score_model", "name": "judged", "model": "gpt-4o", "input": [{"role": "user", "content": "Grade {{sample.output_text}}"}]}
RUN = {
    "reward": float,
    "sub_rewards": {},
    "model_grader_token_usage_per_model": {},
    "metadata": {"name": str, "type": str, "execution_time": float, "scores": {}, "errors": {"other_error": False, "sample_parse_error": False}},
}


def reward(s, grader, answer, sample):
    run = s.client.fine_tuning.alpha.graders.run(grader=grader, item={"answer": answer}, model_sample=sample)
    expect_match(run, RUN)
    return run.reward


@row("fineTuning.alpha.graders.run", "of a comparison")
def _(s):
    expect_match([reward(s, EQUAL, "Paris", "Paris"), reward(s, EQUAL, "Paris", "Rome")], [1, 0])


@row("fineTuning.alpha.graders.run", "of a similarity")
def _(s):
    # rapidfuzz's ratio of two texts that differ in one of four letters
    expect_match(abs(reward(s, SIMILAR, "abcd", "abce") - 0.75) < 1e-9, True)


@row("fineTuning.alpha.graders.run", "of several graders")
def _(s):
    expect_match(reward(s, BOTH, "Paris", "Paris"), 1)


@row("fineTuning.alpha.graders.validate", "of each that needs no other model")
def _(s):
    for grader in [EQUAL, SIMILAR, BOTH]:
        expect_match(s.client.fine_tuning.alpha.graders.validate(grader=grader), {"grader": {"type": grader["type"], "name": grader["name"]}})


@row("fineTuning.alpha.graders.validate", "of one that needs another model")
def _(s):
    call = lambda: s.client.fine_tuning.alpha.graders.validate(grader=JUDGED)
    expect_refusal(call, openai.BadRequestError, {"message": re.compile("string_check")})
