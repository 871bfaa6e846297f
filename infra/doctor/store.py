"""The bucket: there, opened by the API's key and the workers', and taking what our client sends."""

import secrets
from collections.abc import Mapping

from infra.deploy.buckets import BucketSettings
from infra.deploy.errors import StoreRefused
from infra.doctor.findings import Finding, ok, trouble
from infra.doctor.patient import Patient
from shared.objects import ObjectStore, StorageError

_BODY = b"written by the doctor"


def look_at_store(patient: Patient) -> list[Finding]:
    """Writes one small object where photos lie, reads it and deletes it."""
    keys = (patient.store_access_key, patient.store_secret_key)
    settings = BucketSettings(patient.store_endpoint, patient.bucket, *keys)
    try:
        if not settings.exists():
            return [
                trouble(
                    "bucket",
                    f"There is no bucket {patient.bucket}: mend R2_BUCKET_NAME, or have `deploy "
                    "apply` create it.",
                )
            ]
    except StoreRefused as refused:
        return [trouble("bucket", str(refused))]
    store = ObjectStore(patient.store_endpoint, patient.bucket, *keys)
    return _write_read_delete(store, "The API's R2 key")


def look_at_workers_keys(env: Mapping[str, str], patient: Patient) -> list[Finding]:
    """The same with what workers are told, where that is another pair than the API's."""
    keys = (env.get("STORAGE_ACCESS_KEY", ""), env.get("STORAGE_SECRET_KEY", ""))
    if keys == (patient.store_access_key, patient.store_secret_key):
        return []
    if not all(keys):
        return [
            trouble("bucket", "STORAGE_ACCESS_KEY or STORAGE_SECRET_KEY of the workers is not set.")
        ]
    try:
        if not BucketSettings(patient.store_endpoint, patient.bucket, *keys).exists():
            return []  # as has been said
    except StoreRefused:
        sentence = (
            "The object store does not take STORAGE_ACCESS_KEY and STORAGE_SECRET_KEY of the "
            "workers: mend them and run `deploy apply`."
        )
        return [trouble("bucket", sentence)]
    store = ObjectStore(patient.store_endpoint, patient.bucket, *keys)
    return _write_read_delete(store, "The workers' STORAGE_ACCESS_KEY")


def _write_read_delete(store: ObjectStore, whose: str) -> list[Finding]:
    key = f"inputs/doctor/{secrets.token_hex(8)}/0.jpg"
    step = "write to"
    try:
        store.put(key, _BODY, "text/plain")
        step = "read from"
        whole = store.get(key, max_bytes=1000) == _BODY
        step = "delete from"
        store.delete([key])
    except StorageError as error:
        return [trouble("bucket", _sentence(whose, step, error))]
    if not whole:
        return [trouble("bucket", "The store gives back another object than it was given.")]
    return [ok("bucket", f"{whose} writes, reads and deletes.")]


def _sentence(whose: str, step: str, error: StorageError) -> str:
    """S3's name for it stands in the text of a StorageError."""
    text = str(error)
    if "NotImplemented" in text:
        return (
            f"The store does not implement what it takes to {step} the bucket: it must take "
            "Content-MD5, as R2 and S3 do, so choose another store."
        )
    if "AccessDenied" in text or "403" in text:
        return f"{whose} may not {step} the bucket: give it 'Object Read & Write'."
    return f"{whose} cannot {step} the bucket: {text.rpartition(': ')[2]}."
