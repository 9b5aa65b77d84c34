"""
Runs the rows with OpenAI's client for Python: `python main.py INSTRUCTIONS`, where INSTRUCTIONS are JSON. Prints the outcome of each row, and then the
client's version and the names of its methods, as JSON, one a line. Names are those of the client for Node: `fineTuning.jobs.listEvents`.
"""

import functools
import inspect
import json
import re
import sys
import time

import openai
from openai._resource import SyncAPIResource

import admin_rows  # noqa: F401 - each adds its rows
import chat_rows  # noqa: F401
import file_rows  # noqa: F401
import job_rows  # noqa: F401
import model_rows
import transport_rows  # noqa: F401
import webhook_rows  # noqa: F401
from matching import expect_refusal, one_of
from setting import ROWS, Setting

RESOURCES = ["files", "uploads", "models", "fine_tuning", "chat", "completions", "responses", "webhooks", "admin"]
# Resources of which only a part is served.
PARTLY = re.compile(r"(admin|chat|responses)\.")
SERVED = re.compile(
    r"(chat\.completions\.(create|stream|parse)|responses\.(create|stream|parse|connect))$|"
    r"admin\.organization\.(adminAPIKeys|auditLogs|projects(\.(apiKeys|serviceAccounts|serviceAccounts\.apiKeys|rateLimits))?)\.\w+$"
)
# There is nothing at that path, or nothing that can be done with that method.
REFUSED = {"status_code": one_of(404, 405), "message": re.compile("There is no route|is not possible")}


def node_name(path):
    """admin_api_keys → adminAPIKeys"""
    words = re.sub(r"_(\w)", lambda found: found.group(1).upper(), path)
    return words.replace("adminApiKeys", "adminAPIKeys")


def methods_of(resource, path):
    for name in sorted(dir(type(resource))):
        if name.startswith(("_", "with_")):
            continue
        attribute = inspect.getattr_static(type(resource), name)
        if isinstance(attribute, (functools.cached_property, property)) or type(attribute).__name__ == "cached_property":
            below = getattr(resource, name)
            if isinstance(below, SyncAPIResource):
                yield from methods_of(below, f"{path}.{name}")
        elif callable(attribute):
            yield node_name(f"{path}.{name}"), getattr(resource, name)


def call_with_nothing(method):
    """Calls a method with some value for everything that it requires, or for all that it takes if that depends."""
    taken = [p for p in inspect.signature(method).parameters.values() if not re.match("extra_|timeout$", p.name)]
    fill = lambda parameters: {p.name: ["none"] if "List" in str(p.annotation) or "Sequence" in str(p.annotation) else "none" for p in parameters}
    try:
        return method(**fill(p for p in taken if p.default is inspect.Parameter.empty))
    except TypeError:
        return method(**fill(taken))


def not_served_rows(methods):
    """A row for each resource with all its methods: what has nothing to do with fine-tuning, or needs answers that were kept, is not served, and says so."""
    resources = {}
    for name, method in methods:
        if not PARTLY.match(name) or SERVED.match(name):
            continue
        resource = re.sub(r"\.\w+$", ".*", name)
        resources.setdefault(resource, []).append((name, method))
    for resource, calls in resources.items():

        def check(setting, calls=calls):
            for name, method in calls:
                try:
                    expect_refusal(lambda: call_with_nothing(method), openai.APIStatusError, REFUSED)
                except AssertionError as error:
                    raise AssertionError(f"{name}: {error}") from error

        which = "" if resource.startswith("admin.") else "that works with answers that were kept "
        yield resource, f"{which}is not served, and says so", check


def run(method, circumstance, call, setting):
    started = time.monotonic()
    problem = None
    try:
        call(setting)
    except Exception as error:  # a row may fail in any way
        problem = f"{type(error).__name__}: {error}"
    print(json.dumps({"method": method, "circumstance": circumstance, "problem": problem, "ms": round((time.monotonic() - started) * 1000)}), flush=True)


def main():
    setting = Setting(json.loads(sys.argv[1]))
    methods = [found for name in RESOURCES for found in methods_of(getattr(setting.client, name), name)]
    setting.begin_training()
    last = [row for row in ROWS if row[2] is model_rows.delete_models]
    for method, circumstance, call in [*(row for row in ROWS if row not in last), *not_served_rows(methods), *last]:
        run(method, circumstance, call, setting)
    print(json.dumps({"version": openai.__version__, "methods": [name for name, _ in methods]}), flush=True)


main()
