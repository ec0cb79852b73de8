"""Objects that another writer replaces or removes while they are read."""

from __future__ import annotations

import pytest

from orchestrator.store.errors import StoreFailed
from orchestrator.store.store import Store


class Meddled:
    """A file system of pyarrow's on which something happens between the question for an object's size and its reading."""

    def __init__(self, files, *acts):
        self.files = files
        self.acts = list(acts)

    def open_input_file(self, path):
        file = self.files.open_input_file(path)
        if self.acts:
            self.acts.pop(0)()
        return file

    def get_file_info(self, path):
        return self.files.get_file_info(path)


@pytest.fixture
def meddled(s3):
    """A store on S3 that holds an object, and how to have it meddled with."""
    store = Store(s3.uri())
    store.backend.write("a/b", b"12345")
    files, base = store.backend._reached()

    def meddle(*acts):
        store.backend._connected = Meddled(files, *acts), base
        return store.backend

    def write(content):
        with files.open_output_stream(f"{base}/a/b") as sink:
            sink.write(content)

    def delete():
        files.delete_file(f"{base}/a/b")

    return meddle, write, delete


@pytest.mark.parametrize("now", [b"", b"1", b"54321", b"1234567", b"9" * 1000])
def test_an_object_that_is_replaced_while_it_is_read_comes_whole(meddled, now):
    meddle, write, delete = meddled
    assert meddle(lambda: write(now)).read("a/b") == now
    assert meddle(lambda: write(b"12345"), lambda: write(now)).read("a/b") in (now, b"12345")
    write(b"12345")
    assert meddle(lambda: (delete(), write(now))).read("a/b") == now


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("content", [b"12345", b"1" * 2000])
def test_an_object_that_is_deleted_while_it_is_read_is_not_there(meddled, size, content):
    """S3 answers with a page of XML, which does not fit where the SDK wants the few bytes of the object."""
    meddle, write, delete = meddled
    write(content)
    with pytest.raises(FileNotFoundError):
        meddle(delete).read("a/b", size)


def test_an_object_that_is_always_replaced_is_given_up(meddled):
    meddle, write, _ = meddled
    acts = [lambda length=length: write(b"1" * length) for length in range(10, 100)]
    with pytest.raises(StoreFailed, match=r"a/b in s3://.* is replaced faster than it can be read"):
        meddle(*acts).read("a/b")
