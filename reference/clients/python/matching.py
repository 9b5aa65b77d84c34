"""Compares an answer with what the contract says of it."""

import re


def expect_match(actual, expected, path="the answer"):
    """int, str, bool: any of that type; a compiled pattern: a text like it; a function: what it accepts; a dict or list: the same in every entry named."""

    def fail(what):
        raise AssertionError(f"{path} is {str(actual)[:300]!r}; expected {what}")

    if expected in (int, str, bool, float) and isinstance(expected, type):
        if not isinstance(actual, (int, float) if expected is float else expected) or (expected is int and isinstance(actual, bool)):
            fail(f"a value of type {expected.__name__}")
    elif isinstance(expected, re.Pattern):
        if not isinstance(actual, str) or not expected.search(actual):
            fail(f"a text like {expected.pattern}")
    elif callable(expected):
        if not expected(actual):
            fail(getattr(expected, "name", "something else"))
    elif isinstance(expected, dict):
        for key, value in expected.items():
            found = actual.get(key) if isinstance(actual, dict) else getattr(actual, key, None)
            expect_match(found, value, f"{path}.{key}")
    elif isinstance(expected, list):
        if not isinstance(actual, list) or len(actual) != len(expected):
            fail(f"a list of {len(expected)}")
        for index, (one, wanted) in enumerate(zip(actual, expected)):
            expect_match(one, wanted, f"{path}[{index}]")
    elif actual != expected:
        fail(repr(expected))


def or_none(expected):
    def accepts(value):
        if value is None:
            return True
        expect_match(value, expected)
        return True

    return accepts


def one_of(*values):
    def accepts(value):
        return value in values

    accepts.name = f"one of {values}"
    return accepts


def some(accepts):
    """A list of at least one item, each of which is accepted."""

    def check(value):
        return isinstance(value, list) and len(value) > 0 and all(accepts(item) for item in value)

    check.name = "a list of one or more such items"
    return check


def expect_refusal(call, error_class, expected=None):
    try:
        answer = call()
    except error_class as error:
        expect_match(error, expected or {}, f"the {error_class.__name__}")
        return
    except Exception as error:
        raise AssertionError(f"the call raised {type(error).__name__}: {str(error)[:300]}; expected {error_class.__name__}") from error
    raise AssertionError(f"the call answered {str(answer)[:200]}; expected {error_class.__name__}")
