import asyncio
import hashlib
import os
import re
import tempfile
from pathlib import Path

import openai
from matching import expect_match, expect_refusal, one_of
from setting import row

FILE = {
    "id": re.compile("^file-"),
    "object": "file",
    "bytes": int,
    "created_at": int,
    "filename": str,
    "purpose": "fine-tune",
    "status": one_of("uploaded", "processed"),
}
UPLOAD = {"id": re.compile("^upload"), "object": "upload", "bytes": int, "created_at": int, "expires_at": int, "filename": "parts.jsonl", "purpose": "fine-tune"}


@row("files.create", "with a name outside ASCII")
def _(s):
    expect_match(s.upload("größe 你好.jsonl"), {**FILE, "filename": "größe 你好.jsonl", "bytes": len(s.dataset.encode())})


@row("files.create", "that expires")
def _(s):
    file = s.upload("a.jsonl", expires_after={"anchor": "created_at", "seconds": 3600})
    expect_match(file, {**FILE, "expires_at": file.created_at + 3600})


@row("files.create", "with each purpose that the client types")
def _(s):
    for purpose in ["assistants", "batch", "vision", "user_data", "evals"]:
        expect_match(s.client.files.create(file=("a.txt", b"some text"), purpose=purpose), {**FILE, "purpose": purpose, "bytes": 9})


@row("files.create", "with the same Idempotency-Key")
def _(s):
    headers = {"Idempotency-Key": f"files-{os.getpid()}"}
    first = s.upload("same.jsonl", extra_headers=headers)
    expect_match(s.upload("same.jsonl", extra_headers=headers), {"id": first.id})


@row("files.retrieve", "of a file")
def _(s):
    file = s.upload()
    expect_match(s.client.files.retrieve(file.id), {**FILE, "id": file.id, "bytes": file.bytes})


@row("files.retrieve", "of an unknown file")
def _(s):
    expect_refusal(lambda: s.client.files.retrieve("file-none"), openai.NotFoundError, {"status_code": 404, "code": "file_not_found", "type": "invalid_request_error"})


@row("files.waitForProcessing", "of a dataset")
def _(s):
    file = s.upload()
    expect_match(s.client.files.wait_for_processing(file.id, poll_interval=0.1, max_wait_seconds=60), {**FILE, "id": file.id, "status": "processed"})


@row("files.waitForProcessing", "of a file that is no dataset")
def _(s):
    file = s.client.files.create(file=("wrong.jsonl", b'{"message": []}\n'), purpose="fine-tune")
    done = s.client.files.wait_for_processing(file.id, poll_interval=0.1, max_wait_seconds=60)
    expect_match(done, {"status": "error", "status_details": re.compile("line 1")})


@row("files.list", "in pages of one, newest first and oldest first")
def _(s):
    made = [s.upload().id, s.upload().id]
    for order, expected in [("desc", made[::-1]), ("asc", made)]:
        seen = [file.id for file in s.client.files.list(purpose="fine-tune", order=order, limit=1) if file.id in made]
        expect_match(seen, expected)


@row("files.list", "page by page")
def _(s):
    s.upload()
    s.upload()
    first = s.client.files.list(limit=1)
    expect_match([len(first.data), first.has_next_page()], [1, True])
    expect_match(first.get_next_page().data[0].id != first.data[0].id, True)


@row("files.list", "in pages of one, by the asynchronous client")
def _(s):
    made = [s.upload().id, s.upload().id]

    async def walk():
        async with s.asynchronous() as client:
            return [file.id async for file in client.files.list(limit=1) if file.id in made]

    expect_match(asyncio.run(walk()), made[::-1])


@row("files.list", "walked while its files are deleted")
def _(s):
    made = {s.upload().id, s.upload().id, s.upload().id}
    for file in s.client.files.list(limit=2):
        if file.id in made and s.client.files.delete(file.id).deleted:
            made.remove(file.id)
    expect_match(len(made), 0)


@row("files.list", "of one purpose")
def _(s):
    s.upload()
    expect_match([file.id for file in s.client.files.list(purpose="vision", limit=5).data if file.purpose != "vision"], [])


@row("files.content", "read at once")
def _(s):
    expect_match(s.client.files.content(s.upload().id).text, s.dataset)


@row("files.retrieveContent", "read at once")
def _(s):
    expect_match(s.client.files.retrieve_content(s.upload().id), s.dataset)


@row("files.content", "as a stream, of several megabytes")
def _(s):
    large = s.dataset.encode() * (4 * 1024 * 1024 // len(s.dataset.encode()) + 1)
    file = s.client.files.create(file=("large.jsonl", large), purpose="fine-tune")
    received = hashlib.sha256()
    with s.client.files.with_streaming_response.content(file.id) as response:
        for chunk in response.iter_bytes():
            received.update(chunk)
    expect_match(received.hexdigest(), hashlib.sha256(large).hexdigest())
    s.client.files.delete(file.id)


@row("files.content", "of a range of bytes")
def _(s):
    answer = s.client.files.content(s.upload().id, extra_headers={"Range": "bytes=3-11"})
    expect_match([answer.response.status_code, answer.content == s.dataset.encode()[3:12]], [206, True])


@row("files.delete", "of a file")
def _(s):
    file_id = s.upload().id
    expect_match(s.client.files.delete(file_id), {"id": file_id, "object": "file", "deleted": True})
    expect_refusal(lambda: s.client.files.retrieve(file_id), openai.NotFoundError)
    expect_refusal(lambda: s.client.files.delete(file_id), openai.NotFoundError)


def begin(s):
    return s.client.uploads.create(bytes=len(s.dataset.encode()), filename="parts.jsonl", mime_type="text/jsonl", purpose="fine-tune")


def send_parts(s, upload_id):
    """The dataset in two parts, the second sent first. Returns the ids in their order."""
    content = s.dataset.encode()
    middle = len(content) // 2
    second = s.client.uploads.parts.create(upload_id, data=content[middle:])
    first = s.client.uploads.parts.create(upload_id, data=content[:middle])
    return [first.id, second.id]


@row("uploads.create", "of a dataset")
def _(s):
    expect_match(begin(s), {**UPLOAD, "status": "pending"})


@row("uploads.create", "of more than 8 GB")
def _(s):
    call = lambda: s.client.uploads.create(bytes=9_000_000_000, filename="big.jsonl", mime_type="text/jsonl", purpose="fine-tune")
    expect_refusal(call, openai.BadRequestError, {"param": "bytes"})


@row("uploads.parts.create", "of half the bytes")
def _(s):
    upload = begin(s)
    part = s.client.uploads.parts.create(upload.id, data=b"half")
    expect_match(part, {"id": re.compile("^part"), "object": "upload.part", "created_at": int, "upload_id": upload.id})


@row("uploads.complete", "of parts that were sent in another order, with their md5")
def _(s):
    upload = begin(s)
    part_ids = send_parts(s, upload.id)
    done = s.client.uploads.complete(upload.id, part_ids=part_ids, md5=hashlib.md5(s.dataset.encode()).hexdigest())
    expect_match(done, {**UPLOAD, "id": upload.id, "status": "completed", "file": {"id": re.compile("^file-"), "object": "file", "filename": "parts.jsonl"}})
    expect_match(s.client.files.content(done.file.id).text, s.dataset)


@row("uploads.complete", "with a wrong md5")
def _(s):
    upload = begin(s)
    part_ids = send_parts(s, upload.id)
    expect_refusal(lambda: s.client.uploads.complete(upload.id, part_ids=part_ids, md5="0" * 32), openai.BadRequestError, {"param": "md5"})


@row("uploads.complete", "with a part missing")
def _(s):
    upload = begin(s)
    part_ids = send_parts(s, upload.id)
    expect_refusal(lambda: s.client.uploads.complete(upload.id, part_ids=part_ids[:1]), openai.BadRequestError)


@row("uploads.cancel", "of a pending upload")
def _(s):
    upload = begin(s)
    expect_match(s.client.uploads.cancel(upload.id), {**UPLOAD, "id": upload.id, "status": "cancelled"})
    expect_refusal(lambda: s.client.uploads.parts.create(upload.id, data=b"late"), openai.BadRequestError)


@row("uploads.uploadFileChunked", "of a file on disk, in parts of 100 bytes")
def _(s):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "parts.jsonl"
        path.write_text(s.dataset)
        done = s.client.uploads.upload_file_chunked(file=path, mime_type="text/jsonl", purpose="fine-tune", part_size=100)
    expect_match(done, {**UPLOAD, "status": "completed"})
    expect_match(s.client.files.content(done.file.id).text, s.dataset)
