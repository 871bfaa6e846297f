"""`ObjectStore` is the same client of every server: what it puts, finds, lists and deletes."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.objects import (
    ObjectInfo,
    ObjectMissing,
    ObjectStore,
    ObjectTooLarge,
    StorageUnavailable,
)
from tests.objects.odd_keys import ODD_KEYS
from tests.objects.servers import Server
from tests.objects.swift_configuration import LISTING_PAGE

JPEG = "image/jpeg"


@pytest.mark.parametrize("size", [0, 1, 70_000, 8 * 1024 * 1024])
def test_what_is_put_comes_back(store: ObjectStore, folder: str, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"\xff" * (size % 256)
    store.put(f"{folder}0.jpg", body, JPEG)
    assert store.get(f"{folder}0.jpg", max_bytes=size) == body
    info = ObjectInfo(f"{folder}0.jpg", size, hashlib.md5(body).hexdigest())
    assert store.head(f"{folder}0.jpg") == info
    assert store.list(folder) == [info]


def test_what_is_not_there(store: ObjectStore, folder: str) -> None:
    assert store.head(f"{folder}0.jpg") is None
    assert store.list(folder) == []
    with pytest.raises(ObjectMissing, match=r"0\.jpg"):
        store.get(f"{folder}0.jpg", max_bytes=1)


def test_more_than_the_limit_is_not_held(store: ObjectStore, folder: str) -> None:
    store.put(f"{folder}0.jpg", b"x" * 1001, JPEG)
    assert len(store.get(f"{folder}0.jpg", max_bytes=1001)) == 1001
    with pytest.raises(ObjectTooLarge, match="1001 bytes, limit 1000"):
        store.get(f"{folder}0.jpg", max_bytes=1000)


def test_what_is_put_again_is_replaced_whole(store: ObjectStore, folder: str) -> None:
    store.put(f"{folder}0.jpg", b"the first, and longer", JPEG)
    before = store.head(f"{folder}0.jpg")
    store.put(f"{folder}0.jpg", b"the second", JPEG)
    after = store.head(f"{folder}0.jpg")
    assert store.get(f"{folder}0.jpg", max_bytes=100) == b"the second"
    assert before is not None
    assert after is not None
    assert after.etag == hashlib.md5(b"the second").hexdigest() != before.etag
    assert store.list(folder) == [after]


def test_a_listing_of_several_pages_is_whole_and_in_order(store: ObjectStore, folder: str) -> None:
    # More than two pages of Swift's; bytes order keys, not numbers or letters.
    names = [f"{number}.jpg" for number in range(2 * LISTING_PAGE + 1)]
    keys = [f"{folder}{name}" for name in [*names, "B", "a", "é"]]
    for key in keys:
        store.put(key, key.encode(), JPEG)
    listed = store.list(folder)
    assert [info.key for info in listed] == sorted(keys, key=str.encode)
    assert all(info.size == len(info.key.encode()) for info in listed)
    assert all(info.etag == hashlib.md5(info.key.encode()).hexdigest() for info in listed)
    store.delete(keys)
    assert store.list(folder) == []


def test_a_prefix_is_that_and_nothing_near_it(store: ObjectStore, folder: str) -> None:
    keys = [f"{folder}{name}" for name in ("j/1", "j/1/0", "j/1/1", "j/10/0", "j/2/0", "k/1/0")]
    for key in keys:
        store.put(key, b"", JPEG)
    assert [info.key for info in store.list(f"{folder}j/1/")] == keys[1:3]
    assert [info.key for info in store.list(f"{folder}j/1")] == keys[:4]
    assert [info.key for info in store.list(f"{folder}j/1/0")] == keys[1:2]
    assert store.list(f"{folder}j/3/") == []
    assert store.list(f"{folder}J/1/") == []


def test_deleting_is_silent_about_what_is_not_there(store: ObjectStore, folder: str) -> None:
    for name in "123":
        store.put(folder + name, b"x", JPEG)
    store.delete([])
    for _ in range(2):
        store.delete([f"{folder}1", f"{folder}3", f"{folder}never"])
        assert [info.key for info in store.list(folder)] == [f"{folder}2"]
        assert store.head(f"{folder}1") is None


@pytest.mark.parametrize("name", ODD_KEYS)
def test_odd_keys_are_keys_like_others(store: ObjectStore, folder: str, name: str) -> None:
    key = folder + name
    store.put(key, key.encode(), JPEG)
    store.put(f"{folder}other", b"", JPEG)
    assert store.get(key, max_bytes=1000) == key.encode()
    assert [info.key for info in store.list(key)] == [key]
    info = store.head(key)
    assert info is not None
    assert info.size == len(key.encode())
    store.delete([key])
    assert store.head(key) is None
    assert [info.key for info in store.list(folder)] == [f"{folder}other"]


def test_threads_share_one_store(store: ObjectStore, folder: str) -> None:
    def there_and_back(number: int) -> bytes:
        store.put(f"{folder}{number}", f"{number}".encode() * 1000, JPEG)
        return store.get(f"{folder}{number}", max_bytes=10_000)

    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(there_and_back, range(16)))
    assert got == [f"{number}".encode() * 1000 for number in range(16)]


def test_the_bucket_opens_with_its_credentials(server: Server) -> None:
    server.store.ready()
    for changed in (
        {"bucket": f"{server.served.bucket}-other"},
        {"secret_key": "canary-secret"},
        {"access_key": "canary-nobody"},
    ):
        with pytest.raises(StorageUnavailable, match="open bucket") as refused:
            server.store_with(**changed).ready()
        assert not refused.value.retryable
        assert "canary" not in str(refused.value)


def test_wrong_credentials_are_not_taken_for_a_missing_object(server: Server, folder: str) -> None:
    stranger = server.store_with(secret_key="canary-secret")
    for call in (
        lambda: stranger.get(f"{folder}k", max_bytes=1),
        lambda: stranger.head(f"{folder}k"),
        lambda: stranger.put(f"{folder}k", b"", JPEG),
        lambda: stranger.list(folder),
        lambda: stranger.delete([f"{folder}k"]),
    ):
        with pytest.raises(StorageUnavailable, match=r"HTTP 40[13]") as refused:
            call()
        assert not refused.value.retryable
    assert server.store.list(folder) == []
