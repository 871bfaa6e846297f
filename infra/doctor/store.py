"""The bucket: there, opened by the API's own key, and taking what our client sends."""

import secrets

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
                    "bucket", f"There is no bucket {patient.bucket}: `deploy apply` creates it."
                )
            ]
    except StoreRefused as refused:
        return [trouble("bucket", str(refused))]
    return _write_read_delete(ObjectStore(patient.store_endpoint, patient.bucket, *keys))


def _write_read_delete(store: ObjectStore) -> list[Finding]:
    key = f"inputs/doctor/{secrets.token_hex(8)}/0.jpg"
    step = "write to"
    try:
        store.put(key, _BODY, "text/plain")
        step = "read from"
        whole = store.get(key, max_bytes=1000) == _BODY
        step = "delete from"
        store.delete([key])
    except StorageError as error:
        return [trouble("bucket", _sentence(step, error))]
    if not whole:
        return [trouble("bucket", "The store gives back another object than it was given.")]
    return [ok("bucket", "The API's key writes, reads and deletes.")]


def _sentence(step: str, error: StorageError) -> str:
    """S3's name for it stands in the text of a StorageError."""
    text = str(error)
    if "NotImplemented" in text:
        return (
            f"The store refuses the x-amz-checksum header with which boto3 would {step} it: set "
            "when_required for both checksums of the client, and send Content-MD5 to delete."
        )
    if "AccessDenied" in text or "403" in text:
        return f"The API's R2 key may not {step} the bucket: give it 'Object Read & Write'."
    return f"The API's key cannot {step} the bucket: {text.rpartition(': ')[2]}."
