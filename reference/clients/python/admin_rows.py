import contextlib
from types import SimpleNamespace

import openai
from matching import expect_match, expect_refusal, one_of, or_none
from setting import row

PROJECT = {"id": str, "object": "organization.project", "created_at": int, "name": str, "status": "active", "archived_at": None}
ACCOUNT = {"id": str, "object": "organization.project.service_account", "created_at": int, "name": str, "role": one_of("owner", "member")}
ACCOUNT_KEY = {"id": str, "object": "organization.project.service_account.api_key", "created_at": int, "name": str, "value": str}
KEY = {
    "id": str,
    "object": "organization.project.api_key",
    "created_at": int,
    "last_used_at": or_none(int),
    "name": str,
    "owner": {"type": one_of("user", "service_account")},
    "redacted_value": str,
}
ADMIN_KEY = {"id": str, "object": "organization.admin_api_key", "created_at": int, "expires_at": or_none(int), "redacted_value": str}
LIMIT = {"id": str, "object": "project.rate_limit", "model": str, "max_requests_per_1_minute": int, "max_tokens_per_1_minute": int}


@contextlib.contextmanager
def project(s):
    """A project for one row, with a service account that has a key."""
    projects = s.client.admin.organization.projects
    made = projects.create(name="rows")
    account = projects.service_accounts.create(made.id, name="robot")
    yield SimpleNamespace(id=made.id, account=account, key=account.api_key, client=s.client.with_options(api_key=account.api_key.value, max_retries=0))
    projects.archive(made.id)


def new_key(s, project_id):
    """A key of the project itself, which the client has no method to make."""
    return s.client.post(f"/organization/projects/{project_id}/api_keys", body={"name": "rows"}, cast_to=object)


@row("admin.organization.projects.create", "with a name")
def _(s):
    made = s.client.admin.organization.projects.create(name="rows")
    expect_match(made, {**PROJECT, "name": "rows"})
    s.client.admin.organization.projects.archive(made.id)


@row("admin.organization.projects.retrieve", "of a project, and of an unknown one")
def _(s):
    with project(s) as p:
        expect_match(s.client.admin.organization.projects.retrieve(p.id), {**PROJECT, "id": p.id})
        expect_refusal(lambda: s.client.admin.organization.projects.retrieve("proj_none"), openai.NotFoundError)


@row("admin.organization.projects.update", "of its name")
def _(s):
    with project(s) as p:
        expect_match(s.client.admin.organization.projects.update(p.id, name="renamed"), {**PROJECT, "name": "renamed"})


@row("admin.organization.projects.list", "in pages of one")
def _(s):
    with project(s) as p:
        expect_match(p.id in [one.id for one in s.client.admin.organization.projects.list(limit=1)], True)


@row("admin.organization.projects.archive", "of a project whose keys then end")
def _(s):
    with project(s) as p:
        projects = s.client.admin.organization.projects
        expect_match(projects.archive(p.id), {"id": p.id, "status": "archived", "archived_at": int})
        expect_match(p.id in [one.id for one in projects.list(include_archived=True)], True)
        expect_match(p.id in [one.id for one in projects.list()], False)
        expect_refusal(lambda: p.client.files.list(), openai.APIStatusError, {"status_code": one_of(401, 403)})


@row("admin.organization.projects.serviceAccounts.create", "with a key that sees its project alone")
def _(s):
    with project(s) as p:
        made = s.client.admin.organization.projects.service_accounts.create(p.id, name="other")
        expect_match(made, {**ACCOUNT, "api_key": ACCOUNT_KEY})
        expect_match(p.client.files.list().data, [])
        job_id = s.trained().id
        expect_refusal(lambda: p.client.fine_tuning.jobs.retrieve(job_id), openai.NotFoundError, {"code": "fine_tune_not_found"})


@row("admin.organization.projects.serviceAccounts.retrieve", "of an account")
def _(s):
    with project(s) as p:
        found = s.client.admin.organization.projects.service_accounts.retrieve(p.account.id, project_id=p.id)
        expect_match(found, {**ACCOUNT, "id": p.account.id})


@row("admin.organization.projects.serviceAccounts.update", "of its name")
def _(s):
    with project(s) as p:
        updated = s.client.admin.organization.projects.service_accounts.update(p.account.id, project_id=p.id, name="renamed")
        expect_match(updated, {**ACCOUNT, "name": "renamed"})


@row("admin.organization.projects.serviceAccounts.list", "of a project")
def _(s):
    with project(s) as p:
        expect_match([one.id for one in s.client.admin.organization.projects.service_accounts.list(p.id, limit=1)], [p.account.id])


@row("admin.organization.projects.serviceAccounts.delete", "of an account whose key then ends")
def _(s):
    with project(s) as p:
        deleted = s.client.admin.organization.projects.service_accounts.delete(p.account.id, project_id=p.id)
        expect_match(deleted, {"id": p.account.id, "object": "organization.project.service_account.deleted", "deleted": True})
        expect_refusal(lambda: p.client.files.list(), openai.AuthenticationError)


@row("admin.organization.projects.serviceAccounts.apiKeys.create", "for an account")
def _(s):
    with project(s) as p:
        made = s.client.admin.organization.projects.service_accounts.api_keys.create(p.account.id, project_id=p.id, name="second")
        expect_match(made, {**ACCOUNT_KEY, "name": "second"})
        expect_match(s.client.with_options(api_key=made.value).files.list().data, [])


@row("admin.organization.projects.apiKeys.retrieve", "of a key")
def _(s):
    with project(s) as p:
        expect_match(s.client.admin.organization.projects.api_keys.retrieve(p.key.id, project_id=p.id), {**KEY, "id": p.key.id})


@row("admin.organization.projects.apiKeys.list", "of a project")
def _(s):
    with project(s) as p:
        expect_match([one.id for one in s.client.admin.organization.projects.api_keys.list(p.id, limit=1)], [p.key.id])


@row("admin.organization.projects.apiKeys.update", "of a key that may then only read")
def _(s):
    with project(s) as p:
        key = new_key(s, p.id)
        changed = s.client.admin.organization.projects.api_keys.update(key["id"], project_id=p.id, scopes=["api.all.read"])
        expect_match(changed, {**KEY, "id": key["id"], "scopes": ["read"]})
        theirs = s.client.with_options(api_key=key["value"])
        expect_match(theirs.files.list().data, [])
        expect_refusal(lambda: theirs.files.delete("file-none"), openai.PermissionDeniedError)


@row("admin.organization.projects.apiKeys.delete", "of a key that then ends, and of a service account's, which it keeps")
def _(s):
    with project(s) as p:
        keys = s.client.admin.organization.projects.api_keys
        key = new_key(s, p.id)
        theirs = s.client.with_options(api_key=key["value"])
        expect_match(theirs.files.list().data, [])
        expect_match(keys.delete(key["id"], project_id=p.id), {"id": key["id"], "object": "organization.project.api_key.deleted", "deleted": True})
        expect_refusal(lambda: theirs.files.list(), openai.AuthenticationError)
        expect_refusal(lambda: keys.delete(p.key.id, project_id=p.id), openai.BadRequestError)


@row("admin.organization.projects.rateLimits.listRateLimits", "of a project")
def _(s):
    with project(s) as p:
        expect_match(s.client.admin.organization.projects.rate_limits.list_rate_limits(p.id).data[0], LIMIT)


@row("admin.organization.projects.rateLimits.updateRateLimit", "to one request in a minute, which then is a RateLimitError")
def _(s):
    with project(s) as p:
        limits = s.client.admin.organization.projects.rate_limits
        limit = limits.list_rate_limits(p.id).data[0]
        updated = limits.update_rate_limit(limit.id, project_id=p.id, max_requests_per_1_minute=1)
        expect_match(updated, {**LIMIT, "max_requests_per_1_minute": 1})
        calls = lambda: [p.client.models.list() for _ in range(5)]
        expect_refusal(calls, openai.RateLimitError, {"status_code": 429, "response": lambda response: "retry-after" in response.headers})


@row("admin.organization.adminAPIKeys.create", "that is shown once, and works")
def _(s):
    keys = s.client.admin.organization.admin_api_keys
    made = keys.create(name="rows")
    expect_match(made, {**ADMIN_KEY, "name": "rows", "value": str})
    expect_match(len(s.client.with_options(admin_api_key=made.value).admin.organization.projects.list(limit=1).data), 1)
    keys.delete(made.id)


@row("admin.organization.adminAPIKeys.retrieve", "without its value")
def _(s):
    keys = s.client.admin.organization.admin_api_keys
    made = keys.create(name="rows")
    expect_match(keys.retrieve(made.id).to_dict(), {**ADMIN_KEY, "id": made.id, "value": None})
    keys.delete(made.id)


@row("admin.organization.adminAPIKeys.list", "in pages of one")
def _(s):
    keys = s.client.admin.organization.admin_api_keys
    made = keys.create(name="rows")
    expect_match(made.id in [one.id for one in keys.list(limit=1)], True)
    keys.delete(made.id)


@row("admin.organization.adminAPIKeys.delete", "of a key that then ends")
def _(s):
    keys = s.client.admin.organization.admin_api_keys
    made = keys.create(name="rows")
    expect_match(keys.delete(made.id), {"id": made.id, "object": "organization.admin_api_key.deleted", "deleted": True})
    theirs = s.client.with_options(admin_api_key=made.value)
    expect_refusal(lambda: theirs.admin.organization.projects.list(), openai.AuthenticationError)


@row("admin.organization.auditLogs.list", "of what was done to projects")
def _(s):
    with project(s) as p:
        entries = s.client.admin.organization.audit_logs.list(limit=50).data
        for entry in entries:
            expect_match(entry, {"id": str, "effective_at": int, "type": str, "actor": {}})
        expect_match(any(p.id in entry.to_json() for entry in entries), True)
